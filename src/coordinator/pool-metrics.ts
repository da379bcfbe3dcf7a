/** @file Metrics that are read off the worker pool when somebody asks for them. */
import type { CoordinatorMetrics, MetricsText } from '../telemetry/index.ts';
import type { ParameterSnapshot } from './parameter-snapshot.ts';
import type { WorkerPool } from './worker-pool.ts';

/** The metrics, with what follows from the pool's state now. @param accept Accept header of the scraper */
export function scrapeWithWorkers(metrics: CoordinatorMetrics, pool: WorkerPool<ParameterSnapshot>, accept: string): Promise<MetricsText> {
  for (const [state, count] of Object.entries(pool.counts())) metrics.workers.set({ state }, count);
  metrics.workersQuarantined.set(pool.quarantinedCount());
  metrics.workerSeconds.reset();
  for (const [state, seconds] of Object.entries(pool.ownSeconds())) metrics.workerSeconds.inc({ state }, seconds);
  metrics.workerLastHeartbeat.reset();
  for (const { workerId, lastHeardMs } of pool.membership.present())
    metrics.workerLastHeartbeat.set({ worker: workerId }, lastHeardMs / 1000);
  return metrics.scrape(accept);
}
