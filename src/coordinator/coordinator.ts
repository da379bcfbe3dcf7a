/** @file The coordinator of one run: brings server, protocol, journal, checkpoints and training together and owns their ends. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type Config, parameterSpecs } from '../config/index.ts';
import { DeepDefenseError, sha256, sizeOf, systemClock, takeFileLock, WasmVectorMath, writeFileAtomic } from '../core/index.ts';
import { type Dataset, hashSamples } from '../data/index.ts';
import { createRunOptimizer, vectorLength } from '../optimizers/index.ts';
import type { TlsFiles } from '../security/index.ts';
import { FileJournal, type JournalEvent } from '../journal/index.ts';
import {
  type CoordinatorMetrics,
  createSecurityReport,
  type HttpEndpoint,
  type Logger,
  noTraces,
  startHttpServer,
  type Traces,
  withContext,
} from '../telemetry/index.ts';
import { schemaHash, VectorPool } from '../wire/index.ts';
import type { Checkpoint } from './checkpoint.ts';
import { CheckpointFolder } from './checkpoint-folder.ts';
import { EventChannel } from './event-channel.ts';
import { earlierGoodput } from './goodput-history.ts';
import { Ledger } from './ledger.ts';
import { encodeParameters, type ParameterSnapshot } from './parameter-snapshot.ts';
import { scrapeWithWorkers } from './pool-metrics.ts';
import { watchPool } from './pool-watcher.ts';
import { resumeHistory } from './resume-history.ts';
import { firstFingerprint } from './resume.ts';
import type { RunContext } from './run-context.ts';
import { runToEnd } from './run-end.ts';
import type { RunEvent, RunResult } from './run-events.ts';
import { checkTimeouts, createRunPlan } from './run-plan.ts';
import { forkPointOf, recordStart } from './run-start.ts';
import { type RunningServer, startServer } from './server.ts';
import { StopControl } from './stop-control.ts';
import { WorkerGauges } from './worker-gauges.ts';
import { WorkerPool } from './worker-pool.ts';

export interface CoordinatorOptions {
  readonly config: Config;
  /** Folder of this run; made when missing. */
  readonly runFolder: string;
  readonly runId: string;
  /** The whole dataset: `data.trainSamples` and `data.testSamples` are applied inside, and workers can fetch all of it. */
  readonly dataset: Dataset;
  /** Certificates of the coordinator; undefined = plain text. */
  readonly tls?: TlsFiles | undefined;
  /** Let in workers that have a token in place of a certificate. */
  readonly acceptTokens?: boolean | undefined;
  /** Go on from this state; it must fit the config (see loadCheckpoint). */
  readonly resume?: Checkpoint | undefined;
  /** File that `resume` was read from, for messages. */
  readonly resumePath?: string | undefined;
  /** Begin a new run with this state of another one, in place of parameters from the seed; what its config fixes about the state must be the same. */
  readonly fork?: Checkpoint | undefined;
  /** Epochs of the schedule after which the run is evaluated and ends as `stopped`; a later process goes on. Default: all. */
  readonly untilEpochs?: number | undefined;
  /** After a stop or an error that isn't the run's own another process goes on with the run: workers wait for it, in place of ending. Default false. */
  readonly hasSuccessor?: boolean | undefined;
  readonly logger: Logger;
  readonly metrics: CoordinatorMetrics;
  /** Default: none. */
  readonly traces?: Traces | undefined;
  /** Trace context of what the run is a part of, such as a trial. */
  readonly traceparent?: string | undefined;
  /** Aborting asks for a clean stop, like {@link CoordinatorHandle.stop}. */
  readonly signal?: AbortSignal | undefined;
}

/** A coordinator at work. */
export interface CoordinatorHandle {
  /** host:port for workers. */
  readonly grpcAddress: string;
  /** Base of /metrics, /livez, /readyz. */
  readonly httpUrl: string;
  /** Progress for one watcher; needn't be read. */
  readonly progress: AsyncIterable<RunEvent>;
  /** Settles when everything is closed. Rejects with the error that ended the run. */
  readonly result: Promise<RunResult>;
  /**
   * Ends the run after the step in progress, with a checkpoint; a second call gives the step up too. Resolves when everything is
   * closed, whatever the outcome.
   */
  stop(reason: string): Promise<void>;
}

/** In the run folder: see src/data/sample-hashes.ts. */
export const SAMPLE_HASHES_FILE = 'sample-hashes.bin';

/** Time that open streams get to end after the last word. */
const CLOSE_GRACE_MS = 2_000;

/**
 * Starts a run; it goes on by itself.
 * @throws DeepDefenseError CONFIG_TIMEOUT_ORDER, CHECKPOINT_OTHER_CONFIG, CHECKPOINT_CORRUPT, PORT_IN_USE, CONNECT_FAILED, STORAGE_FAILED
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<CoordinatorHandle> {
  const { config, runFolder, runId, dataset, resume, fork, metrics, signal, traces = noTraces } = options;
  const begun = resume ?? fork;
  let step = () => begun?.step ?? 0;
  const logger = withContext(options.logger, () => ({ run: runId, step: step() }));
  const startedAtMs = performance.now();
  checkTimeouts(config.cluster);
  if (begun !== undefined && begun.datasetHash !== dataset.contentHash) {
    throw new DeepDefenseError('CHECKPOINT_OTHER_CONFIG', {
      what: 'the run to go on with used another dataset',
      expected: `content ${begun.datasetHash.slice(0, 12)}`,
      got: `content ${dataset.contentHash.slice(0, 12)} ("${dataset.name}")`,
      todo: 'give the path of the dataset that the run began with',
      fields: { runId },
    });
  }
  const specs = parameterSpecs(config.model);
  const parameterCount = specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const math = new WasmVectorMath();
  const length = vectorLength(config, parameterCount);
  const vectors = new VectorPool(length, { keep: Number.POSITIVE_INFINITY, allocate: (elements) => math.allocate(elements) });
  const plan = createRunPlan(config, dataset.train.count, options.untilEpochs);
  const optimizer = createRunOptimizer(config, specs, math);
  if (begun !== undefined) optimizer.restore(begun.optimizer.slots, begun.optimizer.updates);
  await mkdir(runFolder, { recursive: true });
  // Two writers would break the journal's chain and each other's checkpoints.
  const release = await takeFileLock(join(runFolder, 'run.lock'), { purpose: `with the run in "${runFolder}"`, code: 'RUN_IN_USE' });
  const checkpoints = await CheckpointFolder.open(join(runFolder, 'checkpoints'), config.checkpoint.keep);
  const { journal, cut, records } = await FileJournal.open(join(runFolder, 'journal.jsonl'), { metrics });
  const isNew = records.length === 0;
  if (fork !== undefined && !isNew)
    throw new DeepDefenseError('INTERNAL', { what: `a fork would begin in "${runFolder}", where a run is` });
  if (cut !== null) logger.warn({ cut }, 'the journal ended in a torn line, which was cut off');
  const { batchSize } = config.train;
  const ledger = new Ledger(journal, { metrics, batchSize, step: begun?.step ?? 0 });
  metrics.exemplars.set({ run: runId });
  metrics.workersRequired.set(config.cluster.minWorkers);
  metrics.journalSequence.set(records.length);
  const history = resumeHistory(records, (samples) => samples / batchSize, isNew ? undefined : (resume?.step ?? 0));
  metrics.resumes.inc(history.resumes);
  metrics.recomputedSteps.inc(history.recomputedSteps);
  const gauges = new WorkerGauges(metrics);

  const channel = new EventChannel<RunEvent>();
  const emit = (event: RunEvent) => channel.push(event);
  let server: RunningServer | undefined;
  let sampleHashesSha256 = '';
  let http: HttpEndpoint | undefined;
  let deadline: NodeJS.Timeout | undefined;
  const stop = new StopControl((reason, times) => {
    logger.info({ reason }, times === 1 ? 'stopping after the step in progress' : 'stopping at once');
    const kind = pool.runningJob?.kind;
    // Only a step in progress is worth waiting for, and only while someone computes it.
    if (times > 1 || kind !== 'train' || pool.membership.ready().length === 0) pool.abandon(reason);
    else deadline ??= setTimeout(() => pool.abandon(reason), config.cluster.graceMs).unref();
  });
  const report = createSecurityReport(metrics, logger);
  // A worker that has waited for this process may be ready before the start of the run is recorded, which comes first.
  const early: JournalEvent[] = [];
  let isStartRecorded = false;
  const { observer, tally } = watchPool({
    metrics,
    gauges,
    samplesOf: (answer) =>
      answer.kind === 'block'
        ? (answer.message.block?.count ?? 0) * (batchSize / config.train.shards) * config.sync.everySteps
        : answer.kind === 'evaluation'
          ? answer.message.correct.length
          : 0,
    logger,
    report,
    ledger: { record: (event) => (isStartRecorded ? ledger.record(event) : early.push(event)) },
    emit,
    readyWorkers: () => pool.membership.ready().length,
    onWaiting: () => {
      if (stop.requested) setImmediate(() => pool.abandon(stop.reason));
    },
    address: () => server?.address ?? '',
  });
  const schema = schemaHash(specs);
  const pool = new WorkerPool<ParameterSnapshot>({
    clock: systemClock,
    leaseMs: config.cluster.leaseMs,
    stepDeadlineMs: config.cluster.stepDeadlineMs,
    workersLostMs: config.cluster.workersLostMs,
    maxWorkers: config.cluster.maxWorkers,
    identity: {
      schemaHash: schema,
      datasetHash: dataset.contentHash,
      engineFingerprint: begun?.engineFingerprint || firstFingerprint(records),
    },
    welcome: {
      runId,
      configJson: JSON.stringify(config),
      schemaHash: schema,
      datasetHash: dataset.contentHash,
      heartbeatMs: config.cluster.heartbeatMs,
      trainSamples: plan.samplesPerEpoch,
      evaluationJson: '',
    },
    encodeParameters,
    observer,
    earlierGoodput: earlierGoodput(records, {
      fromStep: resume?.step ?? 0,
      nowMs: systemClock.nowMs(),
      longestWaitMs: config.cluster.workersLostMs,
    }),
    // Higher than any id of an earlier process of this run, at up to a million tasks a second.
    firstTaskId: Date.now() * 1000,
  });
  try {
    server = await startServer({
      host: config.cluster.host,
      port: config.cluster.port,
      tls: options.tls,
      acceptTokens: options.acceptTokens,
      runId,
      limits: config.cluster.limits,
      report,
      pool,
      vectorLength: length,
      vectors,
      math,
      precision: config.train.gradients,
      dataset,
      metrics,
      gauges,
      logger,
    });
    http = await startHttpServer({
      host: config.cluster.host,
      port: config.cluster.httpPort,
      scrape: (accept) => scrapeWithWorkers(metrics, pool, accept),
      readiness: () => {
        const ready = pool.membership.ready().length;
        return { ready: ready > 0, reason: ready > 0 ? `${ready} workers are ready` : 'no worker is ready' };
      },
    });
    // Only now: a resume that can't start leaves the folder as it was.
    await writeFileAtomic(join(runFolder, 'config.yaml'), stringify(config));
    if (isNew) {
      const hashes = await hashSamples(dataset);
      await writeFileAtomic(join(runFolder, SAMPLE_HASHES_FILE), hashes);
      sampleHashesSha256 = sha256(hashes);
    }
  } catch (error) {
    await server?.close(0);
    await http?.close();
    await ledger.close();
    await release();
    throw error;
  }

  const context: RunContext = {
    config,
    runId,
    specs,
    parameterCount,
    vectorLength: length,
    math,
    vectors,
    testSamples: Math.min(dataset.test.count, config.data.testSamples ?? dataset.test.count),
    datasetHash: dataset.contentHash,
    plan,
    pool,
    ledger,
    checkpoints,
    metrics,
    traces,
    span: traces.start('run', { run: runId, strategy: config.strategy.name, model: config.model.name }, options.traceparent),
    logger,
    stop,
    emit,
    state: {
      step: begun?.step ?? 0,
      parameters: begun === undefined ? new Float32Array(0) : copyInto(math.allocate(parameterCount), begun.parameters),
      optimizer,
      cleanAccuracy: begun?.cleanAccuracy ?? null,
      lastCheckpoint: options.resumePath,
      lastCheckpointStep: resume?.step,
      lastCheckpointAtMs: performance.now(),
      lastCheckpointSeconds: 0,
      trainedSamples: 0,
      trainedSeconds: 0,
    },
  };
  step = () => context.state.step;
  recordStart(context, options, isNew ? { sampleHashesSha256 } : undefined);
  isStartRecorded = true;
  for (const event of early) ledger.record(event);
  const onAbort = () => stop.request(signal?.reason instanceof Error ? signal.reason.message : 'asked to stop');
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });

  const close = async (state: 'completed' | 'stopped' | 'failed', reason: string): Promise<void> => {
    // The pool has told the workers; their streams end now.
    signal?.removeEventListener('abort', onAbort);
    clearTimeout(deadline);
    emit({ kind: 'finished', state, reason });
    channel.close();
    context.span.end(state === 'failed' ? { error: reason } : {});
    await server?.close(CLOSE_GRACE_MS);
    await http?.close();
    await ledger.close();
    await release();
  };
  const result = runToEnd(context, options, { startedAtMs, tally, channel, forkedFrom: forkPointOf(fork, records), close });
  // Whoever wants the error awaits `result`; a caller that only stops must not crash on it.
  result.catch(() => {});
  return {
    grpcAddress: server.address,
    httpUrl: http.url,
    progress: channel,
    result,
    stop: async (reason) => {
      stop.request(reason);
      await result.then(
        () => {},
        () => {},
      );
    },
  };
}

function copyInto(vector: Float32Array, values: Float32Array): Float32Array {
  vector.set(values);
  return vector;
}
