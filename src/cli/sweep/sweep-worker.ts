/** @file A worker process of a sweep. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { openNatsLink } from '../../journal/index.ts';
import { openJetStreamSource, openRemoteSource, type TaskSource } from '../../queue/index.ts';
import type { Logger } from '../../telemetry/index.ts';
import { runClaimLoop, type WorkerPlacement } from '../../worker/index.ts';
import { type NatsFlags, natsOptionsOf } from './nats-options.ts';
import { TrialRunner } from './trial-runner.ts';

export interface SweepWorkerOptions extends NatsFlags {
  /** host:port of the sweep's coordinator; with NATS servers the sweep's id. */
  readonly sweep: string;
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
export async function runSweepWorker(options: SweepWorkerOptions): Promise<number> {
  const { dataPath, trialsFolder, placement, logger, signal } = options;
  const source = await openSource(options);
  try {
    const runner = new TrialRunner({ dataPath, trialsFolder, placement, logger });
    const worker = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
    logger.info({ worker, sweep: source.sweepId }, 'at work for a sweep');
    return await runClaimLoop({ source, worker, run: (claim, stop) => runner.run(claim, stop), logger, signal });
  } finally {
    await source.close();
  }
}

async function openSource({ sweep, logger, ...flags }: SweepWorkerOptions): Promise<TaskSource & { readonly sweepId: string }> {
  const nats = natsOptionsOf(flags, (reason) => logger.info({ reason }, 'no connection to NATS; trying again'));
  if (nats === undefined)
    return openRemoteSource({
      address: sweep,
      onLost: (reason) => logger.info({ address: sweep, reason }, "no connection to the sweep's coordinator; trying again"),
    });
  const link = await openNatsLink(nats);
  try {
    const source = await openJetStreamSource({ link, sweepId: sweep });
    return {
      sweepId: sweep,
      claim: (worker, stop) => source.claim(worker, stop),
      close: async () => {
        await source.close();
        await link.close();
      },
    };
  } catch (error) {
    await link.close();
    throw error;
  }
}
