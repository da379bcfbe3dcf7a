/**
 * @file Every Prometheus metric, declared once; docs/metrics.md is generated from the table. Names follow
 * https://prometheus.io/docs/practices/naming/: prefix `deepdefense_`, base units, `_total` on counters only. No label is unbounded.
 */
import { POOL_METRICS } from './pool-table.ts';
import { PROCESS_METRICS } from './process-table.ts';
import { RUN_METRICS } from './run-table.ts';
import { SWEEP_METRICS } from './sweep-table.ts';
import { WORKER_METRICS } from './worker-table.ts';

/** The table of all metrics, by the name of their handle in {@link Metrics}. */
export const METRICS = { ...RUN_METRICS, ...POOL_METRICS, ...WORKER_METRICS, ...SWEEP_METRICS, ...PROCESS_METRICS } as const;
