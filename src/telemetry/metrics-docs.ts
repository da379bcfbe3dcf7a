/** @file Text of docs/metrics.md, from the table of metrics. */
import { LABELS, type LabelName, type MetricDescription } from './metric-description.ts';
import { METRICS } from './metric-table.ts';

/** Markdown with one row per metric and one per label; ends with a newline. */
export function metricsDocs(): string {
  const metrics = Object.values(METRICS) as MetricDescription[];
  const rows = metrics.map(({ name, type, help, labels, roles, exemplars }) => {
    const shown = `${type}${exemplars === true ? ', exemplars' : ''}`;
    return `| \`${name}\` | ${shown} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${roles.join(', ')} | ${help} |`;
  });
  const labelRows = (Object.keys(LABELS) as LabelName[]).map((label) => {
    const users = metrics.filter(({ labels }) => labels.includes(label)).length;
    return `| \`${label}\` | ${users} | ${LABELS[label]} |`;
  });
  return [
    '# Metrics',
    '',
    '<!-- Generated from src/telemetry/metric-description.ts and the tables beside it; change it there. -->',
    '',
    'Each process serves `GET /metrics` beside `/livez` and `/readyz`: the coordinator of a run or an evaluation (`coordinator`), its workers',
    '(`worker`), the coordinator of a sweep (`sweep`) and its workers (`sweep-worker`, which also train and so have metrics of training).',
    'The format is OpenMetrics where the scraper accepts it, as Prometheus does, else the Prometheus text format. The standard process and',
    'Node.js metrics of prom-client come with them, except three whose names break the naming rules of Prometheus.',
    'How to scrape them and what to look at is in [observability](observability.md).',
    '',
    '| Name | Type | Labels | Exported by | Meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    '## Labels',
    '',
    'No label grows with time, trials, samples or workers that are gone; what would, stands in exemplars and logs.',
    '',
    '| Label | Metrics | Its values in one process |',
    '|---|---|---|',
    ...labelRows,
    '',
  ].join('\n');
}
