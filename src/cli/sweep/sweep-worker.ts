/** @file A worker process of a sweep. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { openRemoteSource } from '../../queue/index.ts';
import type { Logger } from '../../telemetry/index.ts';
import { runClaimLoop, type WorkerPlacement } from '../../worker/index.ts';
import { TrialRunner } from './trial-runner.ts';

export interface SweepWorkerOptions {
  /** host:port of the sweep's coordinator. */
  readonly address: string;
  readonly dataPath: string | undefined;
  readonly trialsFolder: string | undefined;
  readonly placement: WorkerPlacement;
  readonly logger: Logger;
  /** Aborting asks the worker to give its task back and leave. */
  readonly signal: AbortSignal;
}

/**
 * Works until the sweep is over.
 * @returns tasks done here
 * @throws DeepDefenseError CONNECT_FAILED, PROTOCOL_VERSION, USAGE
 */
export async function runSweepWorker({ address, dataPath, trialsFolder, placement, logger, signal }: SweepWorkerOptions): Promise<number> {
  const source = await openRemoteSource({
    address,
    onLost: (reason) => logger.info({ address, reason }, "no connection to the sweep's coordinator; trying again"),
  });
  try {
    const runner = new TrialRunner({ dataPath, trialsFolder, placement, logger });
    const worker = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
    logger.info({ worker, sweep: source.sweepId }, 'at work for a sweep');
    return await runClaimLoop({ source, worker, run: (claim, stop) => runner.run(claim, stop), logger, signal });
  } finally {
    await source.close();
  }
}
