/**
 * @file The barrier of one training step: it opens when every shard has been counted exactly once. Sums arrive as nodes of the fixed
 * reduction tree and are added as they come, so almost nothing is left to do when the last one is in.
 */
import { DeepDefenseError, type SumPrecision, type VectorMath } from '../core/index.ts';
import type { CountedBlock } from '../journal/index.ts';
import { coordinatorMessage, type ShardBlock, type StepSettings, treeBlocks, TreeReducer, type TreeSum } from '../wire/index.ts';
import { parametersHash } from './checkpoint.ts';
import { type Answer, badAnswer, type Job, type TaskPlan } from './job.ts';
import { type Grant, LeaseTable } from './leases.ts';
import { Straggling } from './straggling.ts';

export interface StepBarrierOptions {
  /** Committed steps before this one; also the parameter version. */
  readonly step: number;
  /** Position of the batch's first sample in the infinite sequence of epochs. */
  readonly firstPosition: number;
  /** Settings of the steps up to the next synchronisation; one, or with local steps several. */
  readonly schedule: readonly StepSettings[];
  /** Logical shards of the batch, >= 1. */
  readonly shards: number;
  /** Elements of the vectors that are averaged. */
  readonly vectorLength: number;
  /** Number of metric sums; asked for at the first answer, because the first ready worker fixes it. */
  readonly metricCount: () => number;
  /** Workers that must be ready before the step starts; default 1. */
  readonly minWorkers?: number;
  /** Adds the gradient vectors; default plain loops. */
  readonly math?: VectorMath;
  /** Of the sums over shards; default float32. */
  readonly precision?: SumPrecision;
  /** Hears of each gradient vector that was taken over; the others are the caller's again when {@link StepBarrier.accept} returns. */
  readonly adopt?: (vector: Float32Array) => void;
  /** Receives gradient vectors that were taken over and are free again. */
  readonly recycle?: (vector: Float32Array) => void;
  /** Monotonic milliseconds, to measure the reduction; default performance.now. */
  readonly monotonicMs?: () => number;
}

/** One step, or with local steps all up to the next synchronisation, as a job of the worker pool. */
export class StepBarrier implements Job {
  readonly kind = 'train';
  readonly unitsPerWorker = 'share';
  readonly leases: LeaseTable;
  readonly minWorkers: number;
  readonly step: number;
  readonly deadlineFactor: number;
  readonly #options: StepBarrierOptions;
  readonly #monotonicMs: () => number;
  #reducer: TreeReducer | undefined;
  #reduceMs = 0;
  #computeMs = 0;
  #startedAtMs: number | undefined;
  readonly #blocks: CountedBlock[] = [];
  readonly straggling = new Straggling();

  constructor(options: StepBarrierOptions) {
    this.#options = options;
    this.step = options.step;
    this.deadlineFactor = options.schedule.length;
    this.minWorkers = options.minWorkers ?? 1;
    this.leases = new LeaseTable(options.shards);
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  /** Monotonic time of the first lease; undefined before it. */
  get startedAtMs(): number | undefined {
    return this.#startedAtMs;
  }

  /** Counted answers by first shard. */
  get blocks(): readonly CountedBlock[] {
    return this.#blocks.toSorted((a, b) => a.first - b.first);
  }

  /** Milliseconds spent on adding sums so far. */
  get reduceMs(): number {
    return this.#reduceMs;
  }

  /** Milliseconds of pure computation that the workers report for the counted blocks, summed over workers. */
  get computeMs(): number {
    return this.#computeMs;
  }

  plan(grant: Grant, nextTaskId: () => number): TaskPlan[] {
    const { step, firstPosition, schedule, shards } = this.#options;
    this.#startedAtMs ??= this.#monotonicMs();
    const parts = grant.ranges.flatMap(({ first, count }) => treeBlocks(first, count, shards));
    const taskId = nextTaskId();
    const work = { taskId, step, firstPosition, blocks: parts, leaseEpoch: grant.epoch, schedule: [...schedule] };
    const message = coordinatorMessage('trainTask', work);
    return [{ taskId, message, parts }];
  }

  locate(answer: Answer, parts: readonly ShardBlock[]): { range: ShardBlock; epoch: number } {
    if (answer.kind !== 'block' || answer.message.block === null) throw badAnswer('a block result with its block', answer.kind);
    const { block, step, leaseEpoch } = answer.message;
    const part = parts.find(({ first, count }) => first === block.first && count === block.count);
    if (part === undefined) throw badAnswer('a block of the task', `[${block.first}, ${block.first + block.count})`);
    if (step !== this.step) throw badAnswer(`step ${this.step}`, `step ${step}`);
    return { range: part, epoch: leaseEpoch };
  }

  accept(range: ShardBlock, answer: Answer, workerId: string): void {
    if (answer.kind !== 'block') throw badAnswer('a block result', answer.kind);
    const { shards, vectorLength, metricCount, math, precision, adopt, recycle } = this.#options;
    this.#reducer ??= new TreeReducer({
      root: { first: 0, count: shards },
      length: vectorLength,
      metrics: metricCount(),
      ...(math && { math }),
      ...(precision && { precision }),
      ...(recycle && { recycle }),
    });
    // Before the reducer adds to it.
    const block = { ...range, workerId, gradientsSha256: parametersHash(answer.gradients) };
    const startMs = this.#monotonicMs();
    if (this.#reducer.add(range, answer.gradients, answer.message.metricSums) === 'accepted') adopt?.(answer.gradients);
    this.#reduceMs += this.#monotonicMs() - startMs;
    this.#computeMs += answer.message.computeMs;
    this.#blocks.push(block);
    this.straggling.answered(workerId, this.#monotonicMs());
  }

  /**
   * Mean over shards of gradients and metrics; call once, when the step is complete.
   * @throws DeepDefenseError INTERNAL while shards are missing.
   */
  takeMean(): TreeSum {
    if (this.#reducer === undefined) throw new DeepDefenseError('INTERNAL', { what: `step ${this.step} was read before an answer came` });
    const startMs = this.#monotonicMs();
    const mean = this.#reducer.takeMean();
    this.#reduceMs += this.#monotonicMs() - startMs;
    return mean;
  }
}
