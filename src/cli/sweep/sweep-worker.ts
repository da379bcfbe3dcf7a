/** @file A worker process of a sweep. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type NatsLink, type NatsOptions, openNatsLink, watchLink } from '../../journal/index.ts';
import {
  endWhenIdle,
  FairSource,
  openJetStreamSource,
  openRemoteSource,
  type SharedSource,
  SweepPool,
  SweepRegistry,
  type TaskSource,
} from '../../queue/index.ts';
import type { Login } from '../../security/index.ts';
import {
  createSweepWorkerMetrics,
  type Logger,
  type Readiness,
  startHttpServer,
  type SweepWorkerMetrics,
  type Traces,
  withContext,
} from '../../telemetry/index.ts';
import { runClaimLoop, WorkClock, type WorkerPlacement } from '../../worker/index.ts';
import { type NatsFlags, natsOptionsOf, type SecurityFlags } from './nats-options.ts';
import { TrialRunner } from './trial-runner.ts';

/** A sweep, or with `*` all of some names, and the share of the worker's time. */
export interface SweepShare {
  /** host:port of the sweep's coordinator; with NATS servers the sweep's id or a pattern. */
  readonly sweep: string;
  /** Relative to the others'; > 0. Undefined = the sweep's own priority. */
  readonly weight: number | undefined;
}

export interface SweepWorkerOptions extends NatsFlags {
  /** Sweeps to work for, by turns. */
  readonly sweeps: readonly SweepShare[];
  readonly dataPath: string | undefined;
  readonly trialsFolder: string | undefined;
  readonly placement: WorkerPlacement;
  /** The worker ends when no sweep has had a task for so long, in seconds; undefined = it stays until they are over. */
  readonly idleSeconds: number | undefined;
  readonly security: SecurityFlags;
  /** Certificates or token of the worker, read again for new connections; undefined = plain text. */
  readonly loadLogin: () => Promise<Login | undefined>;
  readonly logger: Logger;
  readonly traces: Traces;
  /** Of /metrics, /livez and /readyz. */
  readonly httpHost: string;
  /** 0 = any free port. */
  readonly httpPort: number;
  /** Aborting asks the worker to give its task back and leave. */
  readonly signal: AbortSignal;
}

/** With what the HTTP side shows of the worker. */
interface WatchedOptions extends SweepWorkerOptions {
  readonly metrics: SweepWorkerMetrics;
  /** Told whenever it changes whether the worker can do its work. */
  readonly onReadiness: (readiness: Readiness) => void;
}

const CONNECTED: Readiness = { ready: true, reason: 'connected' };

/**
 * Works until all the sweeps are over, with a pattern until it is asked to leave, or until there has been no task for `idleSeconds`.
 * @returns tasks done here
 * @throws DeepDefenseError CONNECT_FAILED, PROTOCOL_VERSION, USAGE
 */
export async function runSweepWorker(options: SweepWorkerOptions): Promise<number> {
  const { sweeps, dataPath, trialsFolder, placement, idleSeconds, signal } = options;
  const metrics = createSweepWorkerMetrics();
  const clock = new WorkClock(metrics, options.traces);
  let readiness: Readiness = { ready: false, reason: 'looks for its sweeps' };
  const http = await startHttpServer({
    host: options.httpHost,
    port: options.httpPort,
    scrape: (accept) => {
      clock.update();
      return metrics.scrape(accept);
    },
    readiness: () => readiness,
  });
  const watched: WatchedOptions = {
    ...options,
    metrics,
    onReadiness: (now) => {
      readiness = now;
    },
  };
  let source: TaskSource | undefined;
  try {
    options.logger.info({ url: http.url }, 'metrics are served');
    const opened = await openSources(watched);
    source = idleSeconds === undefined ? opened : endWhenIdle(opened, idleSeconds * 1000);
    const login = await options.loadLogin();
    const worker = `${login?.identity.name ?? hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
    const [only] = sweeps;
    const sweep = sweeps.length === 1 && only !== undefined && !isPattern(only.sweep) ? only.sweep : undefined;
    const logger = withContext(options.logger, () => ({ sweep, worker }));
    const runner = new TrialRunner({ dataPath, trialsFolder, placement, logger, metrics, traces: options.traces, clock });
    logger.info({ sweeps: sweeps.map((each) => each.sweep) }, 'at work for sweeps');
    return await runClaimLoop({ source, worker, run: (claim, stop, about) => runner.run(claim, stop, about), logger, clock, signal });
  } finally {
    await source?.close();
    await http.close();
  }
}

/** One source of all sweeps; those that are out of reach at the start are an error, later ones are not while others go on. */
async function openSources(options: WatchedOptions): Promise<TaskSource> {
  const { sweeps, logger, metrics } = options;
  if (sweeps.some(({ sweep }) => isPattern(sweep))) return openPool(options);
  metrics.sweepWorkerSweeps.set(sweeps.length);
  const [only] = sweeps;
  if (sweeps.length === 1 && only !== undefined) return (await openSource(only, options)).source;
  const sources: SharedSource[] = [];
  try {
    for (const share of sweeps) sources.push(await openSource(share, options));
  } catch (error) {
    await Promise.all(sources.map(({ source }) => source.close()));
    throw error;
  }
  return new FairSource({
    sources,
    onEnd: (sweep, error) => {
      metrics.sweepWorkerSweeps.dec();
      if (error === undefined) logger.info({ sweep }, 'a sweep is over');
      else logger.warn({ sweep, err: error }, 'a sweep is out of reach; going on with the others');
    },
  });
}

/** True where the name of a sweep stands for several. */
export function isPattern(sweep: string): boolean {
  return sweep.includes('*');
}

/** All sweeps of some names that are on NATS, now and later. */
async function openPool(options: WatchedOptions): Promise<TaskSource> {
  const { sweeps, logger, metrics, onReadiness } = options;
  const link = await openLink(options);
  const stopListening = link.onReconnect(() => onReadiness(CONNECTED));
  const served = new Set<string>();
  const pool = new SweepPool({
    link,
    patterns: sweeps.map(({ sweep, weight }) => ({ pattern: sweep, weight })),
    onChange: (sweep, change, error) => {
      if (change === 'joined') served.add(sweep);
      else served.delete(sweep);
      metrics.sweepWorkerSweeps.set(served.size);
      if (error !== undefined) logger.warn({ sweep, err: error }, 'a sweep is out of reach; trying again');
      else logger.info({ sweep }, change === 'joined' ? 'a sweep joins' : 'a sweep is over, paused or stopped');
    },
  });
  return closing(pool, async () => {
    stopListening();
    await link.close();
  });
}

async function openSource({ sweep, weight }: SweepShare, options: WatchedOptions): Promise<SharedSource> {
  const { logger, loadLogin, nats, onReadiness } = options;
  if (nats === undefined) {
    const source = await openRemoteSource({
      address: sweep,
      loadLogin,
      onLost: (reason) => logger.info({ address: sweep, reason }, "no connection to the sweep's coordinator; trying again"),
    });
    onReadiness(CONNECTED);
    return { name: sweep, weight: weight ?? (() => source.priority), source };
  }
  const link = await openLink(options);
  const stopListening = link.onReconnect(() => onReadiness(CONNECTED));
  try {
    // Waits for the coordinator.
    const source = await openJetStreamSource({ link, sweepId: sweep });
    let priority = 1;
    const stopWatching = (await SweepRegistry.find(link))?.watch((name, entry) => {
      if (name === sweep && entry !== undefined) priority = entry.priority;
    });
    const closed = closing(source, async () => {
      stopListening();
      await stopWatching?.();
      await link.close();
    });
    return { name: sweep, weight: weight ?? (() => priority), source: closed };
  } catch (error) {
    await link.close();
    throw error;
  }
}

async function openLink({ logger, security, metrics, onReadiness, ...flags }: WatchedOptions): Promise<NatsLink> {
  const onLost = (reason: string) => {
    logger.info({ reason }, 'no connection to NATS; trying again');
    onReadiness({ ready: false, reason: 'no connection to NATS' });
  };
  const link = await openNatsLink(natsOptionsOf(flags, security, onLost) as NatsOptions);
  watchLink(link, metrics);
  onReadiness(CONNECTED);
  return link;
}

/** The source, with more to do when it is closed. */
function closing(source: TaskSource, close: () => Promise<void>): TaskSource {
  return {
    claim: (worker, signal) => source.claim(worker, signal),
    close: async () => {
      await source.close();
      await close();
    },
  };
}
