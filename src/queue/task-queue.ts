/**
 * @file The durable queue of tasks, as its two sides see it. A task is done exactly once in this sense: of each task one result is
 * committed, by the worker that holds its claim. Delivery is at least once: a claim that isn't extended in time goes to another worker,
 * under a higher epoch, and what the first one brings afterwards is refused. One conformance suite tests all implementations
 * (test/unit/queue/conformance.ts).
 */

/** A piece of work. */
export interface Task {
  /** Says what is computed; a second task with the id of a first is the same task. Letters, digits, `-`, `_`. */
  readonly id: string;
  /** What the worker needs, as JSON; at most {@link MOST_PAYLOAD_BYTES}. */
  readonly payload: string;
}

/** A message of a cluster's queue holds a megabyte at most. */
export const MOST_PAYLOAD_BYTES = 512 * 1024;

/** The end of a task. */
export type TaskEnd =
  /** A worker has committed this result, JSON. */
  | { readonly kind: 'result'; readonly task: string; readonly result: string; readonly worker: string; readonly epoch: number }
  /** It was tried too often; the last error. */
  | { readonly kind: 'failed'; readonly task: string; readonly error: TaskError; readonly worker: string; readonly epoch: number };

export interface TaskError {
  /** Stable error code. */
  readonly code: string;
  readonly message: string;
}

/** How often a task is tried again. */
export interface Retries {
  /** After an error of the worker's. */
  readonly errors: number;
  /** After the worker was lost. */
  readonly preemptions: number;
}

export interface QueueCounts {
  /** Published and not claimed. */
  readonly waiting: number;
  readonly claimed: number;
  /** Age of the task that has waited longest since it was published or given back, as far as this process has seen it; 0 when none waits. */
  readonly oldestWaitingSeconds: number;
}

/** The side of the coordinator. */
export interface TaskQueue {
  /** Adds a task behind all others; `duplicate` when it is or was there already. */
  publish(task: Task): Promise<'published' | 'duplicate'>;
  /** Takes a task back that no worker has ended; its claim, if any, is lost. */
  withdraw(id: string): Promise<void>;
  /**
   * Each task's end once, in the order of the commits; ends with {@link close}. For one reader. A durable queue begins with the ends of
   * earlier coordinators' time.
   */
  ends(): AsyncIterable<TaskEnd>;
  counts(): Promise<QueueCounts>;
  /** While held, no task is given out; what is claimed goes on. A durable queue stays held over a restart of the coordinator. */
  hold(held: boolean): void | Promise<void>;
  /** There will be no more tasks: workers that ask for one, now or later, get none. Call before {@link close} when all is done. */
  finish(): void | Promise<void>;
  /** Lets go of the queue. An embedded one is over then; the tasks, claims and ends of a durable one stay for the next coordinator. */
  close(): Promise<void>;
}

/** The side of a worker. */
export interface TaskSource {
  /**
   * The next task; waits for one.
   * @param worker unique per process, for messages and records
   * @returns undefined when `signal` is aborted or there will be no more.
   * @throws DeepDefenseError CONNECT_FAILED when the queue can't be reached for too long
   */
  claim(worker: string, signal: AbortSignal): Promise<Claim | undefined>;
  close(): Promise<void>;
}

/** A task in the hands of a worker. */
export interface Claim {
  readonly task: Task;
  /** Where a worker works for several sweeps: whose task it is. */
  readonly sweep?: string | undefined;
  /** Rises with every claim of this task, and is higher than those of tasks that had ended when it was published. */
  readonly epoch: number;
  /** The worker has so long before it must extend the claim. */
  readonly leaseMs: number;
  /**
   * Says that the worker is still at it.
   * @throws DeepDefenseError CLAIM_LOST when the task was given to another worker, withdrawn, or ended.
   */
  extend(): Promise<void>;
  /**
   * Commits the result, JSON; durable when it resolves. Doing it again has no effect.
   * @throws DeepDefenseError CLAIM_LOST as above.
   */
  commit(result: string): Promise<void>;
  /**
   * The task could not be done: it is tried again, here or elsewhere, while its budget lasts.
   * @param isLasting true when trying again can't help
   * @throws DeepDefenseError CLAIM_LOST as above.
   */
  fail(error: TaskError, isLasting: boolean): Promise<void>;
  /** Gives the task back untouched, as when the worker is asked to leave; doesn't count as an attempt. */
  release(): Promise<void>;
}
