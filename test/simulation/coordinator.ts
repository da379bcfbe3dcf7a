/**
 * @file One life of the coordinator, from start to end or crash: what src/coordinator/coordinator.ts puts together, on the simulated
 * clock, network and disk. Training loop, worker pool, leases, barrier, reduction, optimiser, ledger and journal are the real ones.
 */
import type { Config } from '../../src/config/index.ts';
import type { CheckpointFolder } from '../../src/coordinator/checkpoint-folder.ts';
import { createRunPlan, parametersHash } from '../../src/coordinator/index.ts';
import { createRunOptimizer, vectorLength } from '../../src/optimizers/index.ts';
import { Ledger, type LedgerStart } from '../../src/coordinator/ledger.ts';
import type { ParameterSnapshot } from '../../src/coordinator/parameter-snapshot.ts';
import type { PoolObserver } from '../../src/coordinator/pool-observer.ts';
import { watchPool } from '../../src/coordinator/pool-watcher.ts';
import { runTraining } from '../../src/coordinator/run.ts';
import type { RunContext } from '../../src/coordinator/run-context.ts';
import { StopControl } from '../../src/coordinator/stop-control.ts';
import { WorkerGauges } from '../../src/coordinator/worker-gauges.ts';
import { WorkerPool } from '../../src/coordinator/worker-pool.ts';
import { type Clock, PACKAGE_VERSION, plainVectorMath } from '../../src/core/index.ts';
import { FileJournal, type JournalEvent, readJournal } from '../../src/journal/index.ts';
import type { CoordinatorMetrics, Logger } from '../../src/telemetry/index.ts';
import { VectorPool } from '../../src/wire/index.ts';
import type { WorkerReport } from '../../src/coordinator/worker-link.ts';
import { PARAMETERS, SPECS, TEST_SAMPLES } from './arithmetic.ts';
import type { Checker } from './checker.ts';
import { findResumePoint, SimulatedCheckpoints } from './checkpoints.ts';
import type { SimulatedDisk } from './disk.ts';
import type { Snapshot } from './network.ts';
import { ENGINE, IDENTITY } from './worker.ts';

export const JOURNAL = 'journal.jsonl';
export const WEIGHTS = 'weights.safetensors';

export interface CoordinatorOptions {
  readonly clock: Clock;
  readonly disk: SimulatedDisk;
  readonly config: Config;
  readonly trainSamples: number;
  readonly checker: Checker;
  /** Journal records that were certainly on disk when the last life ended. */
  readonly forcedRecords: number;
  /** An event is on its way to the journal: promises are about to go on. */
  readonly onRecord: () => void;
  readonly onResumed: (fromStep: number, skipped: number) => void;
  readonly onCheckpoint: () => void;
  /** People are told that work waits for workers. */
  readonly onWaiting: () => void;
  /** The process has ended by itself. */
  readonly onEnded: (end: CoordinatorEnd) => void;
  readonly trace: (text: () => string) => void;
}

export type CoordinatorEnd = { readonly state: 'completed' | 'stopped' } | { readonly state: 'failed'; readonly error: unknown };

const noop = (): void => {};
const instrument = { inc: noop, set: noop, observe: noop, reset: noop, remove: noop };
const metrics = new Proxy({}, { get: () => instrument }) as CoordinatorMetrics;
const logger = { debug: noop, info: noop, warn: noop, error: noop } as unknown as Logger;

/** A run that misses a sample or counts one twice ends. */
const ledgerGap = {
  set: (samples: number) => {
    if (samples !== 0) throw new Error(`the ledger is ${samples} samples off`);
  },
} as CoordinatorMetrics['ledgerGap'];

/** Says what is recorded before it is on its way. */
class CheckedLedger extends Ledger {
  readonly #onRecord: (event: JournalEvent) => void;

  constructor(journal: FileJournal, start: Omit<LedgerStart, 'metrics'>, onRecord: (event: JournalEvent) => void) {
    super(journal, {
      metrics: { ledgerSamples: metrics.ledgerSamples, ledgerDurableStep: metrics.ledgerDurableStep, ledgerGap },
      ...start,
    });
    this.#onRecord = onRecord;
  }

  override record(event: JournalEvent): void {
    this.#onRecord(event);
    super.record(event);
  }
}

export class CoordinatorLife {
  readonly #o: CoordinatorOptions;
  readonly #clock: Clock;
  readonly #vectors: VectorPool;
  #pool: WorkerPool<Snapshot> | undefined;
  #stop: StopControl | undefined;
  #dead = false;

  constructor(options: CoordinatorOptions) {
    this.#o = options;
    this.#vectors = new VectorPool(vectorLength(options.config, PARAMETERS), { keep: Number.POSITIVE_INFINITY });
    // Timers of a dead process never fire.
    this.#clock = {
      nowMs: () => options.clock.nowMs(),
      setTimer: (delayMs, callback) => options.clock.setTimer(delayMs, () => this.#dead || callback()),
    };
    void this.#live();
  }

  /** The pool once workers can connect. */
  get pool(): WorkerPool<Snapshot> | undefined {
    return this.#dead ? undefined : this.#pool;
  }

  /** True while something may go on by itself, without an event of a worker. */
  get awaits(): boolean {
    return !this.#dead && this.#pool?.runningJob === undefined;
  }

  die(): void {
    this.#dead = true;
  }

  /** An operator's wish to stop. */
  requestStop(): void {
    if (!this.#dead) this.#stop?.request('asked to stop');
  }

  /** As worker-stream.ts: a vector that nobody adopted is free again. */
  receive(id: number, report: WorkerReport): void {
    if (report.kind !== 'block') return this.#pool?.receive(id, report);
    const gradients = this.#vectors.take();
    gradients.set(report.gradients);
    this.#pool?.receive(id, { ...report, gradients });
    this.#vectors.reclaim(gradients);
  }

  async #live(): Promise<void> {
    try {
      const end = await this.#run();
      if (!this.#dead) this.#o.onEnded(end);
    } catch (error) {
      if (!this.#dead) this.#o.onEnded({ state: 'failed', error });
    }
  }

  async #run(): Promise<CoordinatorEnd> {
    const { disk, config, trainSamples, checker, forcedRecords, onRecord, onResumed, trace } = this.#o;
    const names = await disk.list();
    const known = names.includes(JOURNAL) ? await readJournal(JOURNAL, { disk }) : undefined;
    const resume = await findResumePoint(disk, known?.records ?? []);
    const plan = createRunPlan(config, trainSamples);
    const optimizer = createRunOptimizer(config, SPECS, plainVectorMath);
    if (resume.state !== undefined) optimizer.restore(resume.state.optimizer.slots, resume.state.optimizer.updates);
    const checkpoints = await SimulatedCheckpoints.open(disk, config.checkpoint.keep, this.#o.onCheckpoint);
    const { journal, records, cut } = await FileJournal.open(JOURNAL, { disk, clock: this.#clock });
    checker.opened(records, cut !== null, forcedRecords);
    const state: RunContext['state'] = {
      step: resume.state?.step ?? 0,
      parameters: resume.state === undefined ? new Float32Array(0) : resume.state.parameters,
      optimizer,
      cleanAccuracy: resume.state?.cleanAccuracy ?? null,
      lastCheckpoint: resume.path,
      lastCheckpointStep: resume.state?.step,
      lastCheckpointAtMs: this.#clock.nowMs(),
      lastCheckpointSeconds: 0,
      trainedSamples: 0,
      trainedSeconds: 0,
    };
    const inMemory = () => ({ step: state.step, parametersSha256: parametersHash(state.parameters) });
    const start = { batchSize: config.train.batchSize, step: state.step };
    const ledger = new CheckedLedger(journal, start, (event) => {
      trace(() => `journal: ${event.type}${'step' in event ? ` ${event.step}` : ''}`);
      checker.recorded(event, inMemory);
      onRecord();
    });
    const stop = new StopControl((reason, times) => {
      const kind = pool.runningJob?.kind;
      if (times > 1 || kind !== 'train' || pool.membership.ready().length === 0) pool.abandon(reason);
      else this.#clock.setTimer(config.cluster.graceMs, () => pool.abandon(reason));
    });
    this.#stop = stop;
    const { observer } = watchPool({
      metrics,
      gauges: new WorkerGauges(metrics),
      samplesOf: () => 1,
      logger,
      ledger,
      emit: noop,
      readyWorkers: () => pool.membership.ready().length,
      onWaiting: () => {
        this.#o.onWaiting();
        if (stop.requested) this.#clock.setTimer(0, () => pool.abandon(stop.reason));
      },
      address: () => 'coordinator',
    });
    const { cluster } = config;
    const pool = new WorkerPool<Snapshot>({
      clock: this.#clock,
      leaseMs: cluster.leaseMs,
      stepDeadlineMs: cluster.stepDeadlineMs,
      workersLostMs: cluster.workersLostMs,
      maxWorkers: cluster.maxWorkers,
      identity: { ...IDENTITY, engineFingerprint: records.length === 0 ? undefined : ENGINE },
      welcome: {
        runId: 'run',
        configJson: '{}',
        ...IDENTITY,
        heartbeatMs: cluster.heartbeatMs,
        trainSamples: plan.samplesPerEpoch,
        evaluationJson: '',
      },
      encodeParameters: (version, values) => ({ version, values: values.slice() }),
      observer: both(
        observer,
        checker.observer(() => state.step),
        this.#tracer(),
      ),
      firstTaskId: this.#clock.nowMs() * 1_000,
    });
    if (records.length === 0) ledger.record(runStarted(config, plan.totalSteps, plan.samplesPerEpoch));
    else {
      ledger.record({ type: 'run-resumed', fromStep: state.step, checkpoint: resume.path ?? '' });
      checker.resumed(resume.state && inMemory());
      onResumed(state.step, resume.skipped);
    }
    this.#pool = pool;
    const context: RunContext = {
      config,
      runId: 'run',
      specs: SPECS,
      parameterCount: PARAMETERS,
      vectorLength: vectorLength(config, PARAMETERS),
      math: plainVectorMath,
      vectors: this.#vectors,
      testSamples: TEST_SAMPLES,
      datasetHash: IDENTITY.datasetHash,
      plan,
      state,
      pool: pool as unknown as WorkerPool<ParameterSnapshot>,
      ledger,
      checkpoints: checkpoints as unknown as CheckpointFolder,
      metrics,
      logger,
      stop,
      emit: noop,
    };
    return this.#drive(context);
  }

  /** As the function of this name in coordinator.ts. */
  async #drive(context: RunContext): Promise<CoordinatorEnd> {
    const { state, pool, ledger, stop } = context;
    const hash = () => (state.parameters.length === 0 ? '' : parametersHash(state.parameters));
    const finished = (end: 'completed' | 'stopped' | 'failed', reason: string): void => {
      pool.finish(end, reason);
      ledger.record({ type: 'run-finished', state: end, reason, steps: state.step, parametersSha256: hash() });
    };
    try {
      const run = runTraining(context);
      let next = await run.next();
      while (next.done !== true) next = await run.next();
      const outcome = next.value;
      await this.#o.disk.writeAtomic(WEIGHTS, Buffer.from(hash()));
      finished(outcome.state, stop.reason);
      await ledger.flush();
      await ledger.close();
      return { state: outcome.state };
    } catch (error) {
      finished('failed', error instanceof Error ? error.message : String(error));
      await ledger.close().catch(noop);
      return { state: 'failed', error };
    }
  }

  #tracer(): PoolObserver {
    const { trace } = this.#o;
    return {
      workerReady: ({ id, workerId }) => trace(() => `pool: ${workerId} is ready as member ${id}`),
      workerSilent: ({ workerId }) => trace(() => `pool: ${workerId} is silent`),
      workerLeft: ({ id, workerId }, reason, detail) => trace(() => `pool: ${workerId} (${id}) left: ${reason}, ${detail}`),
      leaseGranted: ({ workerId }, job, { epoch, ranges }) =>
        trace(() => `pool: ${workerId} gets ${job.kind} ${job.step ?? ''} epoch ${epoch} ${shown(ranges)}`),
      leaseExpired: ({ workerId }, job, { epoch, ranges }, reason) =>
        trace(() => `pool: ${workerId} loses ${job.kind} ${job.step ?? ''} epoch ${epoch} ${shown(ranges)}: ${reason}`),
      answerAccepted: ({ workerId }, answer) =>
        trace(
          () =>
            `pool: an answer of ${workerId} counts${answer.kind === 'block' ? ` ${shown([answer.message.block ?? { first: -1, count: 0 }])}` : ''}`,
        ),
      answerRefused: ({ workerId }, code, why) => trace(() => `pool: an answer of ${workerId} is refused: ${code}, ${why}`),
      answerSuperseded: ({ workerId }) => trace(() => `pool: somebody was faster than ${workerId}`),
      workerQuarantined: ({ workerId }, lengthMs, reason) => trace(() => `pool: ${workerId} is quarantined for ${lengthMs} ms: ${reason}`),
      answerDuplicate: ({ workerId }) => trace(() => `pool: an answer of ${workerId} came twice`),
    };
  }
}

function runStarted(config: Config, totalSteps: number, samplesPerEpoch: number): JournalEvent {
  return {
    type: 'run-started',
    runId: 'run',
    packageVersion: PACKAGE_VERSION,
    config: config as unknown as Readonly<Record<string, unknown>>,
    totalSteps,
    samplesPerEpoch,
    datasetName: 'simulated',
    ...IDENTITY,
    sampleHashesSha256: '',
  };
}

function shown(ranges: readonly { readonly first: number; readonly count: number }[]): string {
  return ranges.map(({ first, count }) => `[${first}, ${first + count})`).join(' ');
}

/** Calls each observer, in order. */
function both(...observers: readonly PoolObserver[]): PoolObserver {
  const names = new Set(observers.flatMap((observer) => Object.keys(observer) as (keyof PoolObserver)[]));
  const call =
    (name: keyof PoolObserver) =>
    (...parameters: unknown[]) => {
      for (const observer of observers) (observer[name] as ((...all: unknown[]) => void) | undefined)?.(...parameters);
    };
  return Object.fromEntries([...names].map((name) => [name, call(name)])) as PoolObserver;
}
