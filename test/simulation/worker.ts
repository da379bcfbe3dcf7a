/** @file A worker process of the simulation: serial, with the messages and the manners of src/worker, and with bad habits on top. */
import { type Clock, PACKAGE_VERSION, PROTOCOL_VERSION, type Random } from '../../src/core/index.ts';
import type { WorkerReport } from '../../src/coordinator/worker-link.ts';
import type { CoordinatorMessage, EvaluationTask, TrainTask } from '../../src/wire/index.ts';
import { blockGradient, correctness, initialVector, LOSS_PER_TEST_SAMPLE, METRIC_NAMES, METRIC_SUMS_PER_SHARD } from './arithmetic.ts';
import type { Connection, Down, Snapshot } from './network.ts';

export const IDENTITY = { schemaHash: 'schema', datasetHash: 'data' };
export const ENGINE = 'engine';

/** How workers misbehave now; probabilities per block or connection. */
export interface WorkerFaults {
  fail: number;
  slow: number;
  /** An answer under an older epoch before the right one. */
  forge: number;
  /** The answer twice. */
  repeat: number;
  /** Answers of a lost connection once more on the next one. */
  stale: number;
}

export interface WorkerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly name: string;
  readonly faults: WorkerFaults;
  readonly heartbeatMs: number;
  readonly slowMs: number;
  /** Elements of the vectors that travel. */
  readonly vectorLength: number;
  /** A connection to the coordinator; undefined while there is none or it can't be reached. */
  connect(worker: SimulatedWorker): Connection | undefined;
  onForged(): void;
  onReconnect(): void;
  /** The process has ended. */
  onGone(worker: SimulatedWorker, why: string): void;
  /** The coordinator broke its part of the protocol. */
  violation(text: string): void;
}

interface Session {
  readonly connection: Connection;
  readonly inbox: Down[];
  readonly cancelled: Set<number>;
  parameters: Snapshot | undefined;
  /** Of them, once a task needs it. */
  start: Float32Array;
  computing: boolean;
  welcomed: boolean;
}

/** Answers kept for {@link WorkerFaults.stale}. */
const REMEMBERED = 4;

export class SimulatedWorker {
  readonly name: string;
  readonly #o: WorkerOptions;
  readonly #remembered: WorkerReport[] = [];
  #session: Session | undefined;
  #attempts = 0;
  #sessions = 0;
  #frozenUntilMs = 0;
  #gone = false;

  constructor(options: WorkerOptions) {
    this.name = options.name;
    this.#o = options;
    this.#connect();
  }

  get gone(): boolean {
    return this.#gone;
  }

  get frozenUntilMs(): number {
    return this.#frozenUntilMs;
  }

  /** The process stands still, its timers too. */
  freeze(ms: number): void {
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.#o.clock.nowMs() + ms);
  }

  thaw(): void {
    this.#frozenUntilMs = 0;
  }

  die(): void {
    this.#session?.connection.workerDied();
    this.#end('died');
  }

  /** Asked to stop: says goodbye. */
  leave(): void {
    this.#session?.connection.say({ kind: 'goodbye', reason: 'asked to stop' });
    this.#session?.connection.leave();
    this.#end('left');
  }

  /** Its connection breaks. */
  reset(): boolean {
    this.#session?.connection.reset();
    return this.#session !== undefined;
  }

  receive(connection: Connection, message: Down): void {
    const session = this.#session;
    if (session?.connection !== connection) return;
    // Not a task of its own: a cancellation is read while something is computed.
    if ('body' in message && message.body === 'cancelTask') session.cancelled.add(message.cancelTask.taskId);
    else session.inbox.push(message);
    this.#work(session);
  }

  lost(connection: Connection): void {
    if (this.#session?.connection !== connection) return;
    this.#session = undefined;
    this.#retry();
  }

  #end(why: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#session = undefined;
    this.#o.onGone(this, why);
  }

  #retry(): void {
    if (this.#gone) return;
    this.#attempts = Math.min(this.#attempts + 1, 5);
    this.#later(20 + this.#o.random.integer(20 * 2 ** this.#attempts), () => this.#connect());
  }

  #connect(): void {
    if (this.#gone) return;
    const connection = this.#o.connect(this);
    if (connection === undefined) return this.#retry();
    const session: Session = {
      connection,
      inbox: [],
      cancelled: new Set(),
      parameters: undefined,
      start: new Float32Array(0),
      computing: false,
      welcomed: false,
    };
    this.#session = session;
    this.#sessions += 1;
    if (this.#sessions > 1) this.#o.onReconnect();
    this.#say(session, {
      kind: 'hello',
      message: { workerId: this.name, protocolVersion: PROTOCOL_VERSION, packageVersion: PACKAGE_VERSION, host: 'h', processId: 1 },
    });
    this.#later(5_000, () => {
      if (this.#session !== session || session.welcomed) return;
      connection.leave();
      this.lost(connection);
    });
  }

  #later(ms: number, then: () => void): void {
    this.#o.clock.setTimer(ms, () => {
      const restMs = this.#frozenUntilMs - this.#o.clock.nowMs();
      if (restMs > 0) this.#later(restMs, then);
      else if (!this.#gone) then();
    });
  }

  #say(session: Session, report: WorkerReport): void {
    if (this.#session === session) session.connection.say(report);
  }

  #heartbeat(session: Session): void {
    if (this.#session !== session) return;
    this.#say(session, { kind: 'alive' });
    this.#later(this.#o.heartbeatMs, () => this.#heartbeat(session));
  }

  #work(session: Session): void {
    while (this.#session === session && !session.computing) {
      const message = session.inbox.shift();
      if (message === undefined) return;
      if ('values' in message) this.#use(session, message);
      else this.#handle(session, message);
    }
  }

  #use(session: Session, snapshot: Snapshot): void {
    const before = session.parameters?.version ?? -1;
    if (snapshot.version < before) this.#o.violation(`${this.name}: parameters ${snapshot.version} came after ${before}`);
    session.parameters = snapshot;
    session.start = snapshot.values;
  }

  #handle(session: Session, message: CoordinatorMessage): void {
    switch (message.body) {
      case 'welcome':
        if (session.welcomed) return;
        session.welcomed = true;
        this.#heartbeat(session);
        return this.#compute(session, 50, () => {
          this.#attempts = 0;
          this.#say(session, {
            kind: 'ready',
            message: { ...IDENTITY, engineFingerprint: ENGINE, metricNames: METRIC_NAMES, captureMs: 0, compileMs: 0 },
          });
          for (const report of this.#remembered.splice(0)) if (this.#chance('stale')) this.#sayForged(session, report);
        });
      case 'initialiseTask': {
        const { taskId } = message.initialiseTask;
        return this.#task(session, taskId, () => {
          this.#say(session, { kind: 'initial', message: { taskId, transferId: 0 }, parameters: initialVector(this.#o.vectorLength) });
        });
      }
      case 'trainTask':
        return this.#train(session, message.trainTask, 0);
      case 'evaluationTask':
        return this.#evaluate(session, message.evaluationTask);
      case 'finish':
        session.connection.leave();
        return this.#end(`the run is ${message.finish.state}`);
      case 'refusal':
        session.connection.leave();
        return this.#end(`refused: ${message.refusal.code}`);
      default:
    }
  }

  #train(session: Session, task: TrainTask, index: number): void {
    const block = task.blocks[index];
    if (block === undefined) return;
    const { taskId, step, leaseEpoch } = task;
    this.#checkVersion(session, step);
    const { start } = session;
    this.#task(session, taskId, () => {
      const { first, count } = block;
      const gradients = blockGradient(start, task, first, count);
      const metricSums = METRIC_SUMS_PER_SHARD.map((sum) => sum * count);
      const report: WorkerReport = {
        kind: 'block',
        message: { taskId, step, leaseEpoch, block, transferId: 0, metricSums, computeMs: 1 },
        gradients,
      };
      if (this.#chance('forge')) this.#sayForged(session, { ...report, message: { ...report.message, leaseEpoch: leaseEpoch - 1 } });
      this.#answer(session, report);
      this.#train(session, task, index + 1);
    });
  }

  #evaluate(session: Session, { taskId, parameterVersion, first, count }: EvaluationTask): void {
    this.#checkVersion(session, parameterVersion);
    this.#task(session, taskId, () =>
      this.#answer(session, {
        kind: 'evaluation',
        message: { taskId, correct: correctness(first, count), lossSum: count * LOSS_PER_TEST_SAMPLE, computeMs: 1 },
      }),
    );
  }

  #answer(session: Session, report: WorkerReport): void {
    this.#say(session, report);
    if (this.#chance('repeat')) this.#say(session, report);
    if (this.#o.faults.stale === 0) return;
    this.#remembered.push(report);
    if (this.#remembered.length > REMEMBERED) this.#remembered.shift();
  }

  /** An answer that must not count has values that would show. */
  #sayForged(session: Session, report: WorkerReport): void {
    this.#o.onForged();
    this.#say(session, report.kind === 'block' ? { ...report, gradients: report.gradients.map((value) => value + 1) } : report);
  }

  #checkVersion({ parameters }: Session, version: number): void {
    if (parameters?.version !== version)
      this.#o.violation(`${this.name}: a task for version ${version} came with version ${parameters?.version}`);
  }

  /** Part of a task: fails, or is given up when it was cancelled, or acts. */
  #task(session: Session, taskId: number, act: () => void): void {
    const { random, slowMs } = this.#o;
    const fail = (code: string) => this.#say(session, { kind: 'failure', message: { taskId, code, message: 'simulated' } });
    if (session.cancelled.has(taskId)) return fail('PROTOCOL_STALE_LEASE');
    this.#compute(session, this.#chance('slow') ? 100 + random.integer(2 * slowMs) : random.integer(40), () => {
      if (this.#chance('fail')) fail('ENGINE_FAILED');
      else act();
    });
  }

  #compute(session: Session, ms: number, then: () => void): void {
    session.computing = true;
    this.#later(ms, () => {
      session.computing = false;
      if (this.#session !== session) return;
      then();
      this.#work(session);
    });
  }

  #chance(fault: keyof WorkerFaults): boolean {
    const probability = this.#o.faults[fault];
    return probability > 0 && this.#o.random.uniform() < probability;
  }
}
