/** @file A worker that speaks the protocol over simulated links with delays and faults, and computes gradients from a hash. */
import { PACKAGE_VERSION, PROTOCOL_VERSION, Random } from '../../../src/core/index.ts';
import type { WorkerLink, WorkerReport } from '../../../src/coordinator/worker-link.ts';
import type { WorkerPool } from '../../../src/coordinator/worker-pool.ts';
import { type CoordinatorMessage, type ShardBlock, sumTree, type TrainTask, type EvaluationTask } from '../../../src/wire/index.ts';
import type { VirtualClock } from './virtual-clock.ts';

export const GRADIENT_LENGTH = 5;
export const METRIC_NAMES = ['loss', 'accuracy'];
export const IDENTITY = { schemaHash: 'schema', datasetHash: 'data' };

/** Gradient of one shard: floats of mixed size, so that another order of additions gives other bits. */
export function shardGradient(step: number, shard: number): Float32Array {
  const random = new Random('attack', 77, step, shard);
  return Float32Array.from({ length: GRADIENT_LENGTH }, () => random.normal() * 10 ** random.integer(6));
}

export interface Snapshot {
  readonly version: number;
  readonly values: Float32Array;
}

/** How badly a worker behaves; probabilities per event. */
export interface Faults {
  readonly die: number;
  readonly freeze: number;
  readonly duplicate: number;
  readonly forgeEpoch: number;
  readonly fail: number;
  readonly slow: number;
}

interface Options {
  readonly clock: VirtualClock;
  readonly pool: WorkerPool<Snapshot>;
  readonly random: Random;
  readonly faults: Faults;
  readonly name: string;
  readonly leaseMs: number;
  readonly stepDeadlineMs: number;
  readonly onGone: () => void;
}

/** Messages travel in order in each direction, with random delays; a frozen worker neither reads nor speaks until it thaws. */
export class SimulatedWorker implements WorkerLink<Snapshot> {
  readonly #o: Options;
  readonly #id: number;
  readonly #inbox: (CoordinatorMessage | Snapshot)[] = [];
  #version = -1;
  #outAtMs = 0;
  #inAtMs = 0;
  #frozenUntilMs = 0;
  #alive = true;
  #computing = false;
  readonly #cancelled = new Set<number>();
  /** Messages about answers that were refused. */
  refusedAnswers = 0;
  violations: string[] = [];

  constructor(options: Options) {
    this.#o = options;
    this.#id = options.pool.connect(this);
    this.#say({
      kind: 'hello',
      message: { workerId: options.name, protocolVersion: PROTOCOL_VERSION, packageVersion: PACKAGE_VERSION, host: 'h', processId: 1 },
    });
    this.#heartbeat();
  }

  get alive(): boolean {
    return this.#alive;
  }

  send(message: CoordinatorMessage): void {
    this.#deliver(message);
  }

  sendParameters(snapshot: Snapshot): void {
    this.#deliver(snapshot);
  }

  close(): void {
    this.#end();
  }

  #chance(probability: number): boolean {
    return this.#o.random.uniform() < probability;
  }

  #deliver(message: CoordinatorMessage | Snapshot): void {
    const nowMs = this.#o.clock.nowMs();
    this.#inAtMs = Math.max(this.#inAtMs, nowMs + this.#o.random.integer(5));
    this.#o.clock.setTimer(this.#inAtMs - nowMs, () => {
      if (!this.#alive) return;
      this.#inbox.push(message);
      this.#readCancels(message);
      this.#work();
    });
  }

  #readCancels(message: CoordinatorMessage | Snapshot): void {
    if ('body' in message && message.body === 'cancelTask') this.#cancelled.add(message.cancelTask.taskId);
  }

  #say(report: WorkerReport): void {
    const nowMs = this.#o.clock.nowMs();
    this.#outAtMs = Math.max(this.#outAtMs, nowMs + this.#o.random.integer(5), this.#frozenUntilMs);
    this.#o.clock.setTimer(this.#outAtMs - nowMs, () => {
      // The stream of a dead process delivers nothing more; a frozen one delivers when it thaws.
      if (this.#alive) this.#o.pool.receive(this.#id, report);
    });
  }

  #heartbeat(): void {
    if (!this.#alive) return;
    if (this.#chance(this.#o.faults.die)) return this.#die();
    if (this.#chance(this.#o.faults.freeze)) this.#frozenUntilMs = this.#o.clock.nowMs() + this.#o.random.integer(this.#o.leaseMs * 4);
    if (this.#o.clock.nowMs() >= this.#frozenUntilMs) this.#say({ kind: 'alive' });
    this.#o.clock.setTimer(this.#o.leaseMs / 4, () => this.#heartbeat());
  }

  #die(): void {
    const silently = this.#chance(0.5);
    this.#end();
    if (!silently) this.#o.clock.setTimer(this.#o.random.integer(20), () => this.#o.pool.disconnect(this.#id, 'stream closed'));
  }

  #end(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#o.clock.setTimer(0, this.#o.onGone);
  }

  #work(): void {
    if (!this.#alive || this.#computing) return;
    const message = this.#inbox.shift();
    if (message === undefined) return;
    if ('values' in message) {
      this.#version = message.version;
      return this.#work();
    }
    switch (message.body) {
      case 'welcome':
        return this.#after(this.#o.random.integer(200), () =>
          this.#say({
            kind: 'ready',
            message: { ...IDENTITY, engineFingerprint: 'engine', metricNames: METRIC_NAMES, captureMs: 0, compileMs: 0 },
          }),
        );
      case 'trainTask':
        return this.#train(message.trainTask, 0);
      case 'evaluationTask':
        return this.#evaluate(message.evaluationTask);
      case 'answerRefused':
        this.refusedAnswers += 1;
        return this.#work();
      case 'refusal':
        this.violations.push(`refused: ${message.refusal.code} ${message.refusal.message}`);
        return this.#work();
      default:
        return this.#work();
    }
  }

  #after(delayMs: number, then: () => void): void {
    this.#computing = true;
    const thaw = Math.max(0, this.#frozenUntilMs - this.#o.clock.nowMs());
    this.#o.clock.setTimer(delayMs + thaw, () => {
      this.#computing = false;
      if (!this.#alive) return;
      then();
      this.#work();
    });
  }

  #duration(): number {
    // A slow one ends before or after the deadline.
    return this.#o.random.integer(this.#chance(this.#o.faults.slow) ? this.#o.stepDeadlineMs * 2 : 60);
  }

  #train(task: TrainTask, index: number): void {
    const block = task.blocks[index];
    if (block === undefined) return this.#work();
    if (this.#cancelled.has(task.taskId)) {
      this.#say({ kind: 'failure', message: { taskId: task.taskId, code: 'PROTOCOL_STALE_LEASE', message: 'cancelled' } });
      return this.#work();
    }
    if (this.#version !== task.step) this.violations.push(`task of step ${task.step} came with parameters ${this.#version}`);
    this.#computing = true;
    this.#o.clock.setTimer(this.#duration(), () => {
      this.#computing = false;
      if (!this.#alive) return;
      if (this.#chance(this.#o.faults.fail)) {
        this.#say({ kind: 'failure', message: { taskId: task.taskId, code: 'ENGINE_FAILED', message: 'simulated' } });
        return;
      }
      const forged = this.#chance(this.#o.faults.forgeEpoch);
      // An answer that must not count has values that would show.
      if (forged) this.#say(blockReport(task, block, task.leaseEpoch - 1, 1));
      this.#say(blockReport(task, block, task.leaseEpoch));
      if (this.#chance(this.#o.faults.duplicate)) this.#say(blockReport(task, block, task.leaseEpoch));
      this.#train(task, index + 1);
    });
  }

  #evaluate(task: EvaluationTask): void {
    this.#after(this.#duration(), () => {
      const correct = Buffer.from(Array.from({ length: task.count }, (_, i) => ((task.first + i) % 3 === 0 ? 1 : 0)));
      const report: WorkerReport = {
        kind: 'evaluation',
        message: { taskId: task.taskId, correct, lossSum: task.count * 0.25, computeMs: 1 },
      };
      this.#say(report);
      if (this.#chance(this.#o.faults.duplicate)) this.#say(report);
    });
  }
}

function blockReport(task: TrainTask, block: ShardBlock, leaseEpoch: number, error = 0): WorkerReport {
  const shards = Array.from({ length: block.count }, (_, i) => block.first + i);
  return {
    kind: 'block',
    message: {
      taskId: task.taskId,
      step: task.step,
      leaseEpoch,
      block,
      transferId: 0,
      metricSums: [block.count * 0.5, block.count],
      computeMs: 1,
    },
    gradients: sumTree(shards.map((shard) => shardGradient(task.step, shard))).map((value) => value + error),
  };
}
