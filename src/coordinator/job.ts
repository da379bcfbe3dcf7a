/** @file What the worker pool needs to know of a piece of work that it hands out: a training step, an evaluation, the initialisation. */
import { DeepDefenseError, errorCodeOr } from '../core/index.ts';
import type { CoordinatorMessage, ShardBlock, TaskFailure, WorkerBodies } from '../wire/index.ts';
import type { Grant, LeaseTable } from './leases.ts';

/** An answer of a worker with its vector, if the message kind has one, already put together. */
export type Answer =
  | { readonly kind: 'block'; readonly message: WorkerBodies['blockResult']; readonly gradients: Float32Array }
  | { readonly kind: 'evaluation'; readonly message: WorkerBodies['evaluationResult'] }
  | { readonly kind: 'attack'; readonly message: WorkerBodies['attackOutcome'] }
  | { readonly kind: 'diagnosis'; readonly message: WorkerBodies['diagnosisOutcome'] }
  | { readonly kind: 'initial'; readonly message: WorkerBodies['initialParameters']; readonly parameters: Float32Array };

/** One task as it goes to a worker, and the parts that will be answered one by one. */
export interface TaskPlan {
  readonly taskId: number;
  readonly message: CoordinatorMessage;
  readonly parts: readonly ShardBlock[];
}

/** Work cut into units that are leased to workers; complete when every unit has one valid answer. */
export interface Job {
  readonly kind: 'initialise' | 'train' | 'evaluate';
  readonly leases: LeaseTable;
  /** `share`: all free units are split over the idle workers at once; a number: each idle worker gets at most so many. */
  readonly unitsPerWorker: number | 'share';
  /** Workers that must be ready before the first grant. */
  readonly minWorkers: number;
  /** Factor on cluster.stepDeadlineMs, >= 1: how many ordinary steps a task is worth. Default 1. */
  readonly deadlineFactor?: number;
  /** The step of a training job, for messages to people. */
  readonly step?: number;
  /** Turns a grant into tasks; `nextTaskId` gives an id that was never used before. */
  plan(grant: Grant, nextTaskId: () => number): TaskPlan[];
  /**
   * The units that an answer to this task settles and the lease epoch it names.
   * @throws DeepDefenseError PROTOCOL_BAD_MESSAGE when the answer is of another kind or names no part of the task.
   */
  locate(answer: Answer, part: readonly ShardBlock[], taskEpoch: number): { readonly range: ShardBlock; readonly epoch: number };
  /** False for an answer with NaN or infinity in its vector or figures; left out where such answers have nothing to spoil. */
  isFinite?(answer: Answer): boolean;
  /**
   * Takes a valid answer.
   * @throws DeepDefenseError PROTOCOL_BAD_MESSAGE when its content has the wrong form; then nothing was taken.
   */
  accept(range: ShardBlock, answer: Answer, workerId: string): void;
}

/** Error for an answer that doesn't fit its task. */
export function badAnswer(expected: string, got: string): DeepDefenseError {
  return new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
    what: "the worker's answer doesn't fit its task",
    expected,
    got,
    todo: 'update the worker: both sides must run the same version',
  });
}

/** Error for a worker that reports a failure: at a task of this job, or before any. */
export function failedWorker(workerId: string, { code, message }: TaskFailure, job: Pick<Job, 'kind'> | undefined): DeepDefenseError {
  return new DeepDefenseError(errorCodeOr(code, 'ENGINE_FAILED'), {
    what: job === undefined ? `worker "${workerId}" can't start` : `worker "${workerId}" failed to ${job.kind}`,
    got: message,
    todo: "see the worker's log",
  });
}
