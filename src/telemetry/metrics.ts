/** @file Typed handles of the metrics in metric-table.ts, on a registry of their own. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { PACKAGE_VERSION } from '../core/index.ts';
import { ExemplarHistogram, ExemplarLabels } from './exemplars.ts';
import type { MetricDescription, MetricsRole } from './metric-description.ts';
import { METRICS } from './metric-table.ts';
import { OPEN_METRICS_TYPE, openMetricsOf } from './open-metrics.ts';

type Table = typeof METRICS;
type Handle<D extends MetricDescription> = D['type'] extends 'counter'
  ? Counter<D['labels'][number]>
  : D['type'] extends 'gauge'
    ? Gauge<D['labels'][number]>
    : D extends { readonly exemplars: true }
      ? ExemplarHistogram<D['labels'][number]>
      : Histogram<D['labels'][number]>;

/** Text for a scraper, and what it is. */
export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** The handles of one process, by their names in {@link METRICS}, and the text that Prometheus scrapes. */
export type Metrics<Role extends MetricsRole> = {
  readonly [Key in keyof Table as Role extends Table[Key]['roles'][number] ? Key : never]: Handle<Table[Key]>;
} & {
  readonly role: Role;
  /** What observations belong to from now on, for their exemplars. */
  readonly exemplars: ExemplarLabels;
  /** All metrics in the text format of Prometheus. */
  render(): Promise<string>;
  /** All metrics in the format that the scraper's Accept header prefers: OpenMetrics, which has exemplars, or text. */
  scrape(accept: string): Promise<MetricsText>;
};
export type CoordinatorMetrics = Metrics<'coordinator'>;
export type WorkerMetrics = Metrics<'worker'>;
export type SweepMetrics = Metrics<'sweep'>;

/** Metrics of a worker of a sweep, and those of the runs inside it: what a role doesn't export is counted and not shown. */
export interface SweepWorkerMetrics extends Metrics<'sweep-worker'> {
  readonly trial: CoordinatorMetrics;
  readonly compute: WorkerMetrics;
}

/** Default metrics of prom-client that break Prometheus' naming rules (gauges called `_total`). */
const MISNAMED_DEFAULTS = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

export interface MetricsOptions {
  /** Also the usual metrics of the process and of Node.js; default true. */
  readonly processMetrics?: boolean;
}

/**
 * Makes the metrics of a process in a registry of their own (so that tests and an embedded worker don't collide), with the
 * usual process metrics. Counters and gauges without labels start at 0.
 */
export function createMetrics<Role extends MetricsRole>(role: Role, options: MetricsOptions = {}): Metrics<Role> {
  return createHandles(role, (description) => description.roles.includes(role), options);
}

/** Metrics of a worker of a sweep. */
export function createSweepWorkerMetrics(options: MetricsOptions = {}): SweepWorkerMetrics {
  const all = createHandles('sweep-worker', () => true, options) as Metrics<'sweep-worker'>;
  const inside = all as unknown as CoordinatorMetrics & WorkerMetrics;
  return Object.assign(all, { trial: inside, compute: inside });
}

function createHandles<Role extends MetricsRole>(
  role: Role,
  isNeeded: (description: MetricDescription) => boolean,
  { processMetrics = true }: MetricsOptions,
): Metrics<Role> {
  const registry = new Registry();
  if (processMetrics) {
    collectDefaultMetrics({ register: registry });
    for (const name of MISNAMED_DEFAULTS) registry.removeSingleMetric(name);
  }
  const exemplars = new ExemplarLabels();
  const handles: Record<string, Counter | Gauge | Histogram | ExemplarHistogram> = {};
  for (const [key, description] of Object.entries(METRICS) as [string, MetricDescription][]) {
    if (!isNeeded(description)) continue;
    const metric = createMetric(description);
    if (description.roles.includes(role)) registry.registerMetric(metric);
    handles[key] = metric instanceof Histogram && description.exemplars === true ? new ExemplarHistogram(metric, exemplars) : metric;
  }
  const openMetrics = openMetricsOf(registry);
  const metrics = {
    ...handles,
    role,
    exemplars,
    render: () => registry.metrics(),
    scrape: async (accept: string): Promise<MetricsText> =>
      accept.includes(OPEN_METRICS_TYPE)
        ? { contentType: openMetrics.contentType, text: await openMetrics.metrics() }
        : { contentType: registry.contentType, text: await registry.metrics() },
  } as unknown as Metrics<Role>;
  (handles.buildInfo as Gauge).set({ version: PACKAGE_VERSION, node: process.version, role }, 1);
  return metrics;
}

function createMetric({ name, type, help, labels, buckets = [], exemplars }: MetricDescription): Counter | Gauge | Histogram {
  // Registered by the caller: prom-client refuses exemplars in a registry that is not OpenMetrics at this moment.
  const options = { name, help, labelNames: [...labels], registers: [] };
  switch (type) {
    case 'counter':
      return new Counter(options);
    case 'gauge':
      return new Gauge(options);
    case 'histogram':
      return new Histogram({ ...options, buckets: [...buckets], ...(exemplars === true ? { enableExemplars: true } : {}) });
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
