/** @file A run in this process: its coordinator, and one or several compute workers beside it (a gang). */
import type { Config } from '../../config/index.ts';
import { type CoordinatorOptions, type RunEvent, type RunResult, startCoordinator } from '../../coordinator/index.ts';
import type { EngineWish } from '../../core/index.ts';
import { listDevices } from '../../engine/index.ts';
import type { Logger, WorkerMetrics } from '../../telemetry/index.ts';
import { runWorker, type WorkerPlacement } from '../../worker/index.ts';
import { placesOf } from '../worker-devices.ts';

export interface GangRunOptions extends Omit<CoordinatorOptions, 'logger'> {
  /** Workers, each with a compute thread of its own; every step waits for all of them. */
  readonly gang: number;
  /** Of the first worker; on a machine with several devices the others have those behind it. */
  readonly placement: WorkerPlacement;
  readonly workerMetrics: WorkerMetrics;
  readonly logger: Logger;
  /** Told of the run's progress. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
}

/**
 * Runs to the end, or until `signal` is aborted.
 * @throws what ended the run, or what a worker could not work with
 */
export async function runGang({ gang, placement, workerMetrics, onEvent, ...options }: GangRunOptions): Promise<RunResult> {
  const { config, logger } = options;
  const handle = await startCoordinator({
    ...options,
    config: { ...config, cluster: { ...config.cluster, host: '127.0.0.1', port: 0, httpPort: 0, minWorkers: gang } },
  });
  const leave = new AbortController();
  if (onEvent !== undefined) void follow(handle.progress, onEvent);
  const { path } = config.data;
  const workers = placementsOf(gang, placement, config).map((each) =>
    runWorker({
      coordinatorAddress: handle.grpcAddress,
      dataOptions: path === undefined ? {} : { path },
      placement: each,
      logger,
      metrics: workerMetrics,
      signal: leave.signal,
    }),
  );
  let ended = false;
  try {
    // A worker that can't work says why; the coordinator would only miss it.
    const failed = workers.map((worker) =>
      worker.then(
        () => new Promise<never>(() => {}),
        (error: unknown) => Promise.reject(error instanceof Error ? error : new Error(String(error))),
      ),
    );
    const result = await Promise.race([handle.result, ...failed]);
    ended = true;
    return result;
  } finally {
    if (!ended) await handle.stop('a worker could not go on');
    leave.abort();
    await Promise.allSettled(workers); // An error has ended the race above.
  }
}

async function follow(progress: AsyncIterable<RunEvent>, onEvent: (event: RunEvent) => void): Promise<void> {
  for await (const event of progress) onEvent(event);
}

/** Where each worker of a gang computes: on a device of its own, as far as there are any. */
export function placementsOf(
  gang: number,
  placement: WorkerPlacement,
  { engine }: Pick<Config, 'engine'>,
  list: typeof listDevices = listDevices,
): readonly WorkerPlacement[] {
  if (gang === 1) return [placement];
  const wish: EngineWish = engine.name === 'auto' ? (placement.engine ?? 'auto') : engine.name;
  const devices = [...new Set(placesOf('all', wish, list).map(({ device }) => device))];
  const first = Math.max(0, devices.indexOf(placement.device ?? engine.device));
  return Array.from({ length: gang }, (_, i) => ({ ...placement, device: devices[(first + i) % devices.length] }));
}
