/** @file A worker process of a sweep. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { openNatsLink } from '../../journal/index.ts';
import { FairSource, openJetStreamSource, openRemoteSource, type SharedSource, type TaskSource } from '../../queue/index.ts';
import type { TlsFiles } from '../../security/index.ts';
import type { Logger } from '../../telemetry/index.ts';
import { runClaimLoop, type WorkerPlacement } from '../../worker/index.ts';
import { type NatsFlags, natsOptionsOf, type SecurityFlags } from './nats-options.ts';
import { TrialRunner } from './trial-runner.ts';

/** A sweep, and its share of the worker's time. */
export interface SweepShare {
  /** host:port of the sweep's coordinator; with NATS servers the sweep's id. */
  readonly sweep: string;
  /** Relative to the others'; > 0. */
  readonly weight: number;
}

export interface SweepWorkerOptions extends NatsFlags {
  /** Sweeps to work for, by turns. */
  readonly sweeps: readonly SweepShare[];
  readonly dataPath: string | undefined;
  readonly trialsFolder: string | undefined;
  readonly placement: WorkerPlacement;
  readonly security: SecurityFlags;
  /** Certificates of the worker; undefined = plain text. */
  readonly tls: TlsFiles | undefined;
  readonly logger: Logger;
  /** Aborting asks the worker to give its task back and leave. */
  readonly signal: AbortSignal;
}

/**
 * Works until all the sweeps are over.
 * @returns tasks done here
 * @throws DeepDefenseError CONNECT_FAILED, PROTOCOL_VERSION, USAGE
 */
export async function runSweepWorker(options: SweepWorkerOptions): Promise<number> {
  const { sweeps, dataPath, trialsFolder, placement, logger, signal } = options;
  const source = await openSources(options);
  try {
    const runner = new TrialRunner({ dataPath, trialsFolder, placement, logger });
    const worker = `${options.tls?.identity.name ?? hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
    logger.info({ worker, sweeps: sweeps.map(({ sweep }) => sweep) }, 'at work for sweeps');
    return await runClaimLoop({ source, worker, run: (claim, stop) => runner.run(claim, stop), logger, signal });
  } finally {
    await source.close();
  }
}

/** One source of all sweeps; those that are out of reach at the start are an error, later ones are not while others go on. */
async function openSources(options: SweepWorkerOptions): Promise<TaskSource> {
  const { sweeps, logger } = options;
  const [only] = sweeps;
  if (sweeps.length === 1 && only !== undefined) return openSource(only.sweep, options);
  const sources: SharedSource[] = [];
  try {
    for (const { sweep, weight } of sweeps) sources.push({ name: sweep, weight, source: await openSource(sweep, options) });
  } catch (error) {
    await Promise.all(sources.map(({ source }) => source.close()));
    throw error;
  }
  return new FairSource({
    sources,
    onEnd: (sweep, error) =>
      error === undefined
        ? logger.info({ sweep }, 'a sweep is over')
        : logger.warn({ sweep, err: error }, 'a sweep is out of reach; going on with the others'),
  });
}

async function openSource(sweep: string, { logger, tls, security, ...flags }: SweepWorkerOptions): Promise<TaskSource> {
  const nats = natsOptionsOf(flags, security, (reason) => logger.info({ reason }, 'no connection to NATS; trying again'));
  if (nats === undefined)
    return openRemoteSource({
      address: sweep,
      tls,
      onLost: (reason) => logger.info({ address: sweep, reason }, "no connection to the sweep's coordinator; trying again"),
    });
  const link = await openNatsLink(nats);
  try {
    const source = await openJetStreamSource({ link, sweepId: sweep });
    return {
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
