/** @file Text of docs/metrics.md, from the table of metrics. */
import { METRICS, type MetricDescription } from './metric-table.ts';

/** Markdown with one row per metric; ends with a newline. */
export function metricsDocs(): string {
  const rows = (Object.values(METRICS) as MetricDescription[]).map(
    ({ name, type, help, labels, roles }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${roles.join(', ')} | ${help} |`,
  );
  return [
    '# Metrics',
    '',
    '<!-- Generated from src/telemetry/metric-table.ts; change it there. -->',
    '',
    'Coordinator, worker and the coordinator of a sweep (`sweep --http-port`) each serve `GET /metrics` in the Prometheus text format, beside',
    '`/livez` and `/readyz`. The standard process and Node.js metrics of prom-client come with them, except three whose names break the naming',
    'rules of Prometheus.',
    '',
    '| Name | Type | Labels | Exported by | Meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
