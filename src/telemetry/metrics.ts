/** @file Typed handles of the metrics in metric-table.ts, on a registry of their own. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { PACKAGE_VERSION } from '../core/index.ts';
import { METRICS, type MetricDescription, type MetricsRole } from './metric-table.ts';

type Table = typeof METRICS;
type Handle<D extends MetricDescription> = D['type'] extends 'counter'
  ? Counter<D['labels'][number]>
  : D['type'] extends 'gauge'
    ? Gauge<D['labels'][number]>
    : Histogram<D['labels'][number]>;

/** The handles of one process, by their names in {@link METRICS}, and the text that Prometheus scrapes. */
export type Metrics<Role extends MetricsRole> = {
  readonly [Key in keyof Table as Role extends Table[Key]['roles'][number] ? Key : never]: Handle<Table[Key]>;
} & {
  readonly role: Role;
  readonly contentType: string;
  /** All metrics in the text format. */
  render(): Promise<string>;
};
export type CoordinatorMetrics = Metrics<'coordinator'>;
export type WorkerMetrics = Metrics<'worker'>;
export type SweepMetrics = Metrics<'sweep'>;

/** Default metrics of prom-client that break Prometheus' naming rules (gauges called `_total`). */
const MISNAMED_DEFAULTS = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/**
 * Makes the metrics of a process in a registry of their own (so that tests and an embedded worker don't collide), with the
 * usual process metrics. Counters and gauges without labels start at 0.
 */
export function createMetrics<Role extends MetricsRole>(
  role: Role,
  { processMetrics = true }: { readonly processMetrics?: boolean } = {},
): Metrics<Role> {
  const registry = new Registry();
  if (processMetrics) {
    collectDefaultMetrics({ register: registry });
    for (const name of MISNAMED_DEFAULTS) registry.removeSingleMetric(name);
  }
  const handles: Record<string, Counter | Gauge | Histogram> = {};
  for (const [key, description] of Object.entries(METRICS) as [string, MetricDescription][]) {
    if (description.roles.includes(role)) handles[key] = createHandle(description, registry);
  }
  const metrics = { ...handles, role, contentType: registry.contentType, render: () => registry.metrics() } as unknown as Metrics<Role>;
  (handles.buildInfo as Gauge).set({ version: PACKAGE_VERSION, node: process.version, role }, 1);
  return metrics;
}

function createHandle({ name, type, help, labels, buckets }: MetricDescription, registry: Registry): Counter | Gauge | Histogram {
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  switch (type) {
    case 'counter':
      return new Counter(options);
    case 'gauge':
      return new Gauge(options);
    case 'histogram':
      return new Histogram({ ...options, ...(buckets === undefined ? {} : { buckets: [...buckets] }) });
    default:
      return type satisfies never;
  }
}

const GFA_QUANTITIES = {
  term: 'gfaTerm',
  cosine: 'gfaCosine',
  absCosine: 'gfaAbsCosine',
  gradientNorm: 'gfaGradientNorm',
  zeroGradient: 'gfaZeroGradient',
} as const satisfies Record<string, keyof CoordinatorMetrics>;

/** Sets the per-layer gauges from a step's metrics named `gfa/<layer>/<quantity>`; other names are passed over. */
export function recordGfaMetrics(metrics: CoordinatorMetrics, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) {
    const [prefix, layer, quantity] = name.split('/');
    if (prefix !== 'gfa' || layer === undefined || quantity === undefined || !(quantity in GFA_QUANTITIES)) continue;
    metrics[GFA_QUANTITIES[quantity as keyof typeof GFA_QUANTITIES]].set({ layer }, value);
  }
}
