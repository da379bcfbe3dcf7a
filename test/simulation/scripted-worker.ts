/** @file A worker whose every message is written in a test. It talks to the pool without delay. */
import { PACKAGE_VERSION, PROTOCOL_VERSION } from '../../src/core/index.ts';
import type { WorkerReport } from '../../src/coordinator/worker-link.ts';
import type { CoordinatorMessage, TrainTask } from '../../src/wire/index.ts';
import {
  blockGradient,
  correctness,
  initialVector,
  PARAMETERS,
  LOSS_PER_TEST_SAMPLE,
  METRIC_NAMES,
  METRIC_SUMS_PER_SHARD,
} from './arithmetic.ts';
import type { CoordinatorLife } from './coordinator.ts';
import type { Down, Snapshot } from './network.ts';
import type { Simulation } from './simulation.ts';
import { IDENTITY } from './worker.ts';

export class ScriptedWorker {
  readonly name: string;
  /** Everything that came, in order. */
  readonly received: Down[] = [];
  readonly #simulation: Simulation;
  readonly #life: CoordinatorLife;
  readonly #id: number;
  /** Answers each task that comes, as soon as it comes. */
  diligent = false;
  /** Says nothing by itself, signs of life neither. */
  silent = false;
  closed = false;

  /** Connects and says hello; the coordinator must be there. */
  constructor(simulation: Simulation, name: string) {
    this.name = name;
    this.#simulation = simulation;
    const life = simulation.coordinator;
    const pool = life?.pool;
    if (life === undefined || pool === undefined) throw new Error(`${name} can't reach the coordinator`);
    this.#life = life;
    this.#id = pool.connect({
      send: (message) => this.#receive(message),
      sendParameters: (snapshot) => this.#receive(snapshot),
      close: () => {
        this.closed = true;
      },
    });
    const hello = { workerId: name, protocolVersion: PROTOCOL_VERSION, packageVersion: PACKAGE_VERSION, host: 'h', processId: 1 };
    this.say({ kind: 'hello', message: hello });
    this.#heartbeat();
  }

  /** Train tasks that came, in order. */
  get tasks(): TrainTask[] {
    return this.received.flatMap((message) => ('body' in message && message.body === 'trainTask' ? [message.trainTask] : []));
  }

  /** Codes of refused answers. */
  get refused(): string[] {
    return this.received.flatMap((message) => ('body' in message && message.body === 'answerRefused' ? [message.answerRefused.code] : []));
  }

  say(report: WorkerReport): void {
    if (!this.closed) this.#life.receive(this.#id, report);
  }

  ready(): this {
    const message = { ...IDENTITY, engineFingerprint: 'engine', metricNames: METRIC_NAMES, captureMs: 0, compileMs: 0 };
    this.say({ kind: 'ready', message });
    return this;
  }

  work(): this {
    this.diligent = true;
    for (const message of this.received) if ('body' in message) this.#answer(message);
    return this;
  }

  disconnect(): void {
    this.closed = true;
    this.#life.pool?.disconnect(this.#id, 'the stream is closed');
  }

  /** Answers a train task; with `wrong`, with values that would show, under another epoch where one is given. */
  train(task: TrainTask, { wrong = false, epoch = task.leaseEpoch }: { readonly wrong?: boolean; readonly epoch?: number } = {}): void {
    const { taskId, step, blocks } = task;
    const snapshot = this.received.findLast((message): message is Snapshot => 'values' in message && message.version === step);
    for (const block of blocks) {
      const { first, count } = block;
      const gradients = blockGradient(snapshot?.values ?? new Float32Array(PARAMETERS), task, first, count);
      const metricSums = METRIC_SUMS_PER_SHARD.map((sum) => sum * count);
      this.say({
        kind: 'block',
        message: { taskId, step, leaseEpoch: epoch, block, transferId: 0, metricSums, computeMs: 1 },
        gradients: wrong ? gradients.map((value) => value + 1) : gradients,
      });
    }
  }

  /** Says that a task was given up. */
  giveUp({ taskId }: TrainTask): void {
    this.say({ kind: 'failure', message: { taskId, code: 'PROTOCOL_STALE_LEASE', message: 'cancelled' } });
  }

  #heartbeat(): void {
    if (this.closed) return;
    if (!this.silent) this.say({ kind: 'alive' });
    this.#simulation.clock.setTimer(this.#simulation.config.cluster.heartbeatMs, () => this.#heartbeat());
  }

  #receive(message: Down): void {
    this.received.push(message);
    if (!('body' in message)) return;
    const { body } = message;
    // The initialisation is no part of any script.
    if (this.diligent || body === 'initialiseTask') this.#simulation.clock.setTimer(5, () => this.#answer(message));
  }

  #answer(message: CoordinatorMessage): void {
    switch (message.body) {
      case 'initialiseTask': {
        const { taskId } = message.initialiseTask;
        return this.say({ kind: 'initial', message: { taskId, transferId: 0 }, parameters: initialVector(PARAMETERS) });
      }
      case 'trainTask':
        return this.train(message.trainTask);
      case 'evaluationTask': {
        const { taskId, first, count } = message.evaluationTask;
        const answer = { taskId, correct: correctness(first, count), lossSum: count * LOSS_PER_TEST_SAMPLE, computeMs: 1 };
        return this.say({ kind: 'evaluation', message: answer });
      }
      default:
    }
  }
}
