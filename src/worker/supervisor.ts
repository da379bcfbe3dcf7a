/**
 * @file A worker process: connects to a coordinator and stays with it through lost connections and coordinator restarts. gRPC and
 * heartbeats live on this thread, computation on another.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type Config, parseEvaluationPlan } from '../config/index.ts';
import { DeepDefenseError, type EngineWish, isDeepDefenseError } from '../core/index.ts';
import type { TlsFiles } from '../security/index.ts';
import { type Logger, startHttpServer, withContext, type WorkerMetrics } from '../telemetry/index.ts';
import { type CoordinatorClient, createCoordinatorClient, type Welcome } from '../wire/index.ts';
import { Backoff, sleep } from './backoff.ts';
import { type ComputeClient, createThreadComputeClient } from './compute-client.ts';
import type { DataStatus, OpenDataRequest, Prepared } from './compute-host.ts';
import { fetchDataset } from './dataset-fetch.ts';
import { runSession, type SessionEnd } from './session.ts';

export interface WorkerDataOptions {
  /** CIFAR-10 archive or folder; default: DEEPDEFENSE_DATA, then the cache. A copy with other content is passed over. */
  readonly path?: string | undefined;
  /** Default: from the environment. */
  readonly cacheFolder?: string | undefined;
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

export interface WorkerPlacement {
  /** Engine, for runs that leave it open (`engine.name: auto`); a run that names another one is an error. */
  readonly engine?: EngineWish | undefined;
  /** Device index in place of the run's `engine.device`. */
  readonly device?: number | undefined;
}

export interface RunWorkerOptions {
  /** host:port */
  readonly coordinatorAddress: string;
  /** Certificates of the worker, read for each connection so that renewed ones count; undefined = plain text. */
  readonly loadTls?: (() => Promise<TlsFiles | undefined>) | undefined;
  readonly dataOptions?: WorkerDataOptions;
  /** Where this worker computes. */
  readonly placement?: WorkerPlacement;
  readonly logger: Logger;
  readonly metrics: WorkerMetrics;
  /** Address of /metrics, /livez and /readyz; default 127.0.0.1. */
  readonly httpHost?: string;
  /** 0 = any free port; undefined = no HTTP server. */
  readonly httpPort?: number | undefined;
  /** Aborting says goodbye and ends the worker. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for a coordinator that never answered, in milliseconds; default 60 000. Later waits follow cluster.workersLostMs. */
  readonly connectTimeoutMs?: number;
  /** Makes what computes; default: the real computer in a thread. For tests. */
  readonly createComputeClient?: () => ComputeClient;
}

/** Why a worker ended without error: the state of the run that it was told, or `left` when it was asked to stop. */
export type WorkerExitReason = 'completed' | 'stopped' | 'failed' | 'left';

/**
 * Works until the run is over.
 * @throws DeepDefenseError CONNECT_FAILED when there is no coordinator for too long; the code of a refusal; DATA_*, ENGINE_* when it
 * can't get ready; PORT_IN_USE.
 */
export async function runWorker(options: RunWorkerOptions): Promise<WorkerExitReason> {
  const supervisor = new Supervisor(options);
  const { httpPort, httpHost = '127.0.0.1', metrics } = options;
  const http =
    httpPort === undefined
      ? undefined
      : await startHttpServer({ host: httpHost, port: httpPort, scrape: metrics.scrape, readiness: () => supervisor.readiness });
  if (http !== undefined) options.logger.info({ url: http.url }, 'metrics are served');
  try {
    return await supervisor.run();
  } finally {
    await supervisor.dispose();
    await http?.close();
  }
}

/** A worker that can't get its data so many times gives up. */
const MAX_FAILED_TRANSFERS = 3;

/** What was prepared for a run; reused when the worker re-attaches to it. */
interface Workshop {
  readonly key: string;
  readonly compute: ComputeClient;
  readonly prepared: Promise<Prepared>;
}

class Supervisor {
  readonly #options: RunWorkerOptions;
  readonly #suffix = `${process.pid}-${randomBytes(3).toString('hex')}`;
  #workerId = `${hostname()}-${this.#suffix}`;
  readonly #signal: AbortSignal;
  readonly #backoff = new Backoff();
  #client: CoordinatorClient | undefined;
  #workshop: Workshop | undefined;
  #state: 'connecting' | 'preparing' | 'ready' = 'connecting';
  #patienceMs: number;
  /** Of the coordinator that was found last. */
  #runId: string | undefined;

  constructor(options: RunWorkerOptions) {
    const logger = withContext(options.logger, () => ({ run: this.#runId, worker: this.#workerId }));
    this.#options = { ...options, logger };
    this.#signal = options.signal ?? new AbortController().signal;
    this.#patienceMs = options.connectTimeoutMs ?? 60_000;
  }

  get readiness(): { readonly ready: boolean; readonly reason: string } {
    return { ready: this.#state === 'ready', reason: this.#state };
  }

  async run(): Promise<WorkerExitReason> {
    const { coordinatorAddress, loadTls, logger, metrics } = this.#options;
    let aloneSinceMs = performance.now();
    let lastReason = 'no answer';
    let failedTransfers = 0;
    while (!this.#signal.aborted) {
      const leftMs = aloneSinceMs + this.#patienceMs - performance.now();
      if (leftMs <= 0) throw notReached(coordinatorAddress, this.#patienceMs, lastReason);
      this.#state = 'connecting';
      const tls = await loadTls?.();
      if (tls !== undefined) this.#workerId = `${tls.identity.name}-${this.#suffix}`;
      const client = createCoordinatorClient(coordinatorAddress, tls);
      this.#client = client;
      try {
        const end = await this.#attempt(client, leftMs, () => {
          aloneSinceMs = Number.POSITIVE_INFINITY;
        });
        if (end.kind === 'finished') {
          logger.info({ state: end.state, reason: end.reason }, 'the run is over');
          return end.state === 'completed' || end.state === 'stopped' ? end.state : 'failed';
        }
        if (end.kind === 'left') return 'left';
        if (end.kind === 'failed') {
          // A transfer can fail with its connection; the next session begins it again.
          failedTransfers += 1;
          if (end.error.code !== 'DATA_DOWNLOAD' || failedTransfers >= MAX_FAILED_TRANSFERS) throw end.error;
        }
        lastReason = end.kind === 'failed' ? end.error.message : end.reason;
      } finally {
        client.close();
        metrics.connected.set(0);
        metrics.workerReady.set(0);
      }
      aloneSinceMs = Math.min(aloneSinceMs, performance.now());
      const waitMs = this.#backoff.nextMs();
      logger.info(
        { address: coordinatorAddress, reason: lastReason, waitMs: Math.round(waitMs) },
        'no connection to the coordinator; trying again',
      );
      metrics.reconnects.inc();
      await sleep(waitMs, this.#signal);
    }
    return 'left';
  }

  async dispose(): Promise<void> {
    await this.#workshop?.compute.dispose();
  }

  async #attempt(client: CoordinatorClient, leftMs: number, onConnected: () => void): Promise<SessionEnd> {
    const { logger, metrics } = this.#options;
    try {
      await client.waitUntilConnected(Math.min(leftMs, 5_000));
    } catch (error) {
      return { kind: 'lost', reason: isDeepDefenseError(error) ? (error.parts.got ?? error.message) : String(error) };
    }
    if (this.#signal.aborted) return { kind: 'left' };
    return runSession({
      client,
      workerId: this.#workerId,
      metrics,
      logger,
      signal: this.#signal,
      onWelcome: (config, runId) => {
        onConnected();
        this.#runId = runId;
        metrics.exemplars.set({ run: runId, worker: this.#workerId });
        this.#state = 'preparing';
        this.#patienceMs = config.cluster.workersLostMs;
        this.#backoff.reset();
        metrics.connected.set(1);
      },
      onReady: () => {
        this.#state = 'ready';
        metrics.workerReady.set(1);
      },
      prepare: (config, welcome) => this.#prepare(config, welcome),
    });
  }

  /** Data and compiled graphs for the run; those of the last session when nothing has changed. */
  async #prepare(config: Config, welcome: Welcome): Promise<{ compute: ComputeClient; prepared: Prepared }> {
    const key = JSON.stringify([welcome.configJson, welcome.evaluationJson, welcome.datasetHash]);
    if (this.#workshop?.key !== key) {
      await this.#workshop?.compute.dispose();
      const compute = (this.#options.createComputeClient ?? createThreadComputeClient)();
      this.#workshop = { key, compute, prepared: this.#open(compute, config, welcome) };
    }
    const workshop = this.#workshop;
    try {
      return { compute: workshop.compute, prepared: await workshop.prepared };
    } catch (error) {
      // The next session starts afresh: what failed may have been the connection.
      if (this.#workshop === workshop) this.#workshop = undefined;
      await workshop.compute.dispose();
      throw error;
    }
  }

  async #open(compute: ComputeClient, config: Config, welcome: Welcome): Promise<Prepared> {
    const { logger, metrics, dataOptions } = this.#options;
    const request: OpenDataRequest = {
      source: config.data.source,
      contentHash: welcome.datasetHash,
      ...dataOptions,
    };
    const status = await compute.openData(request);
    for (const note of status.notes) logger.debug({ note }, 'looking for data');
    if (!status.found) await this.#fetch(compute, request);
    const engine = placed(config.engine, this.#options.placement);
    const { evaluationJson } = welcome;
    const prepared =
      evaluationJson === ''
        ? await compute.prepare({ ...config, engine })
        : await compute.prepareEvaluation(parseEvaluationPlan(evaluationJson), engine);
    metrics.compileSeconds.set({ phase: 'capture' }, prepared.captureMs / 1000);
    metrics.compileSeconds.set({ phase: 'session' }, prepared.compileMs / 1000);
    metrics.deviceInfo.set({ engine: prepared.fingerprint.split(' ')[0] ?? '', device: engine.device }, 1);
    logger.info({ engine: prepared.fingerprint }, 'graphs are compiled');
    return prepared;
  }

  async #fetch(compute: ComputeClient, request: OpenDataRequest): Promise<DataStatus> {
    const { logger, metrics } = this.#options;
    logger.info({ contentHash: request.contentHash.slice(0, 12) }, 'no own copy of the data: fetching it from the coordinator');
    let counted = 0;
    let shownTenth = 0;
    const { records, header } = await fetchDataset({
      client: () => {
        if (this.#client === undefined) throw new DeepDefenseError('INTERNAL', { what: 'there is no connection to fetch over' });
        return this.#client;
      },
      contentHash: request.contentHash,
      signal: this.#signal,
      onProgress: (received, total) => {
        metrics.datasetBytes.inc(received - counted);
        counted = received;
        const tenth = Math.floor((10 * received) / total);
        if (tenth === shownTenth) return;
        shownTenth = tenth;
        logger.info({ received, total }, `data: ${tenth * 10} %`);
      },
    });
    const status = await compute.useRecords(records, header, request);
    for (const note of status.notes) logger.info({ note }, 'data fetched');
    return status;
  }
}

/** The run's engine settings as this worker follows them. */
function placed(wanted: Config['engine'], { engine, device }: WorkerPlacement = {}): Config['engine'] {
  if (engine !== undefined && engine !== 'auto' && wanted.name !== 'auto' && engine !== wanted.name) {
    throw new DeepDefenseError('PROTOCOL_FINGERPRINT', {
      what: 'the run and this worker were told to use different engines',
      expected: `"${wanted.name}", which the run's config names`,
      got: `--engine ${engine}`,
      todo: 'start the run with engine.name: auto, or this worker without --engine',
    });
  }
  return { ...wanted, name: wanted.name === 'auto' ? (engine ?? 'auto') : wanted.name, device: device ?? wanted.device };
}

function notReached(address: string, waitedMs: number, reason: string): DeepDefenseError {
  return new DeepDefenseError('CONNECT_FAILED', {
    what: `no coordinator at "${address}" for ${Math.round(waitedMs / 1000)} s`,
    got: reason,
    todo: 'check that the coordinator runs and that the address is right',
    fields: { address },
  });
}
