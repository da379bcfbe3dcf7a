/**
 * @file The embedded queue: the tasks of one coordinator process. What must last, the ends of tasks, it hands to its owner, who makes
 * them durable before a worker hears of success; tasks themselves follow from the owner's journal and are published again after a restart.
 */
import { type Clock, DeepDefenseError } from '../core/index.ts';
import { EndChannel } from './end-channel.ts';
import type { ClaimOutcome, QueueMetrics } from './queue-metrics.ts';
import type { Claim, QueueCounts, Retries, Task, TaskEnd, TaskError, TaskQueue, TaskSource } from './task-queue.ts';

export interface MemoryQueueOptions {
  readonly clock: Clock;
  /** Life of a claim without a sign of its worker. */
  readonly leaseMs: number;
  readonly retries: Retries;
  /** Not below any epoch of earlier processes, and below all of this one. */
  readonly firstEpoch: number;
  /** Claims at a time at most. */
  readonly mostClaims?: number | undefined;
  /** Makes an end durable; called once per task, before anybody is told. */
  readonly onEnd: (end: TaskEnd) => Promise<void>;
  /** A claim was taken from a worker that fell silent. */
  readonly onLost?: ((task: string, worker: string) => void) | undefined;
  readonly metrics?: QueueMetrics | undefined;
}

interface Entry {
  readonly task: Task;
  state: 'waiting' | 'claimed' | 'ending';
  epoch: number;
  worker: string;
  deadlineMs: number;
  /** It waits since then. */
  sinceMs: number;
  errors: number;
  preemptions: number;
  /** Under way or done; the same claim asking again waits for it. */
  ending: Promise<void> | undefined;
}

interface Waiter {
  readonly worker: string;
  readonly resolve: (claim: Claim | undefined) => void;
}

const EARLIER_WORKER = 'a worker of before';

/** See the file's header. */
export class MemoryQueue implements TaskQueue, TaskSource {
  readonly #options: MemoryQueueOptions;
  /** Open tasks by id. */
  readonly #entries = new Map<string, Entry>();
  readonly #waiting: string[] = [];
  readonly #ended = new Set<string>();
  readonly #waiters = new Set<Waiter>();
  readonly #ends = new EndChannel();
  #claimed = 0;
  #epoch: number;
  #closed = false;
  #isFinished = false;
  #isHeld = false;
  #stopTimer: () => void = () => {};

  constructor(options: MemoryQueueOptions) {
    this.#options = options;
    this.#epoch = options.firstEpoch;
    this.#watch();
  }

  async publish(task: Task): Promise<'published' | 'duplicate'> {
    if (this.#entries.has(task.id) || this.#ended.has(task.id)) return 'duplicate';
    this.#entries.set(task.id, {
      task,
      state: 'waiting',
      epoch: 0,
      worker: '',
      deadlineMs: 0,
      sinceMs: this.#options.clock.nowMs(),
      errors: 0,
      preemptions: 0,
      ending: undefined,
    });
    this.#waiting.push(task.id);
    this.#serve();
    return 'published';
  }

  async withdraw(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.state === 'ending') return;
    this.#unclaim(entry);
    this.#entries.delete(id);
    this.#serve();
  }

  ends(): AsyncIterable<TaskEnd> {
    return this.#ends.read();
  }

  async counts(): Promise<QueueCounts> {
    const nowMs = this.#options.clock.nowMs();
    let oldestMs = nowMs;
    for (const { state, sinceMs } of this.#entries.values()) if (state === 'waiting') oldestMs = Math.min(oldestMs, sinceMs);
    return { waiting: this.#entries.size - this.#claimed, claimed: this.#claimed, oldestWaitingSeconds: (nowMs - oldestMs) / 1000 };
  }

  claim(worker: string, signal: AbortSignal): Promise<Claim | undefined> {
    if (this.#isFinished || signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const onAbort = () => settle(undefined);
      const settle = (claim: Claim | undefined) => {
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', onAbort);
        resolve(claim);
      };
      const waiter: Waiter = { worker, resolve: settle };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
      this.#serve();
    });
  }

  /** While held, no task is given out; what is claimed goes on. */
  hold(held: boolean): void {
    this.#isHeld = held;
    this.#serve();
  }

  finish(): void {
    this.#isFinished = true;
    for (const waiter of this.#waiters) waiter.resolve(undefined);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopTimer();
    this.finish();
    this.#ends.close();
  }

  // --- claims by task and epoch, as a server of remote workers needs them

  extend(id: string, epoch: number): void {
    const entry = this.#held(id, epoch);
    entry.deadlineMs = this.#options.clock.nowMs() + this.#options.leaseMs;
  }

  async commit(id: string, epoch: number, result: string): Promise<void> {
    const entry = this.#held(id, epoch);
    if (entry.ending === undefined) this.#countClaim('committed');
    await this.#end(entry, { kind: 'result', task: id, result, worker: entry.worker, epoch });
  }

  async fail(id: string, epoch: number, error: TaskError, isLasting: boolean): Promise<void> {
    const entry = this.#held(id, epoch);
    if (entry.ending === undefined) this.#countClaim('failed');
    entry.errors += 1;
    if (isLasting || entry.errors > this.#options.retries.errors)
      await this.#end(entry, { kind: 'failed', task: id, error, worker: entry.worker, epoch });
    else this.#giveBack(entry);
  }

  /** The worker that has this claim; undefined where nobody has, or a worker of an earlier process, whose name isn't known. */
  holderOf(id: string, epoch: number): string | undefined {
    const entry = this.#entries.get(id);
    return entry?.state !== 'waiting' && entry?.epoch === epoch && entry.worker !== EARLIER_WORKER ? entry.worker : undefined;
  }

  release(id: string, epoch: number): void {
    const entry = this.#held(id, epoch);
    this.#countClaim('released');
    this.#giveBack(entry);
  }

  #countClaim(outcome: ClaimOutcome): void {
    this.#options.metrics?.sweepClaims.inc({ outcome });
  }

  /** The entry, if this claim still holds it. */
  #held(id: string, epoch: number): Entry {
    const entry = this.#entries.get(id);
    if (entry !== undefined && entry.state !== 'waiting' && entry.epoch === epoch) return entry;
    if (entry?.state === 'waiting' && entry.epoch === 0 && epoch <= this.#options.firstEpoch) return this.#adopt(entry, epoch);
    this.#options.metrics?.sweepStaleClaims.inc();
    throw claimLost(
      id,
      this.#ended.has(id) ? 'the task has ended' : entry === undefined ? 'the task was withdrawn' : 'another worker has it',
    );
  }

  /** The worker had it from an earlier process of this queue and has gone on since; nobody else has been given it yet. */
  #adopt(entry: Entry, epoch: number): Entry {
    const { clock, leaseMs } = this.#options;
    entry.state = 'claimed';
    entry.epoch = epoch;
    entry.worker = EARLIER_WORKER;
    entry.deadlineMs = clock.nowMs() + leaseMs;
    this.#claimed += 1;
    return entry;
  }

  /** Ends a task once. */
  async #end(entry: Entry, end: TaskEnd): Promise<void> {
    if (entry.ending === undefined) {
      entry.state = 'ending';
      entry.ending = this.#options.onEnd(end).then(() => {
        this.#ended.add(end.task);
        this.#entries.delete(end.task);
        this.#claimed -= 1;
        this.#ends.push(end);
        this.#serve();
      });
    }
    await entry.ending;
  }

  #giveBack(entry: Entry): void {
    this.#unclaim(entry);
    entry.sinceMs = this.#options.clock.nowMs();
    // In front: it was due before those that wait.
    this.#waiting.unshift(entry.task.id);
    this.#serve();
  }

  #unclaim(entry: Entry): void {
    if (entry.state === 'claimed') this.#claimed -= 1;
    entry.state = 'waiting';
  }

  /** Gives waiting tasks to waiting workers. */
  #serve(): void {
    const { clock, leaseMs, mostClaims = Number.POSITIVE_INFINITY } = this.#options;
    while (!this.#isHeld && this.#waiters.size > 0 && this.#waiting.length > 0 && this.#claimed < mostClaims) {
      const id = this.#waiting.shift() as string;
      const entry = this.#entries.get(id);
      // Withdrawn, or adopted.
      if (entry?.state !== 'waiting') continue;
      const [waiter] = this.#waiters;
      if (waiter === undefined) return;
      this.#epoch += 1;
      if (entry.epoch > 0) this.#options.metrics?.sweepRedeliveries.inc();
      entry.state = 'claimed';
      entry.epoch = this.#epoch;
      entry.worker = waiter.worker;
      entry.deadlineMs = clock.nowMs() + leaseMs;
      this.#claimed += 1;
      waiter.resolve(this.#claimOf(entry.task, this.#epoch));
    }
  }

  #claimOf(task: Task, epoch: number): Claim {
    return {
      task,
      epoch,
      leaseMs: this.#options.leaseMs,
      extend: async () => this.extend(task.id, epoch),
      commit: (result) => this.commit(task.id, epoch, result),
      fail: (error, isLasting) => this.fail(task.id, epoch, error, isLasting),
      release: async () => this.release(task.id, epoch),
    };
  }

  /** Takes tasks from silent workers, a few times per lease. */
  #watch(): void {
    const { clock, leaseMs } = this.#options;
    const intervalMs = leaseMs / 4;
    const dueMs = clock.nowMs() + intervalMs;
    this.#stopTimer = clock.setTimer(intervalMs, () => {
      const nowMs = clock.nowMs();
      // This process was held up itself: what workers said meanwhile is still to be read.
      const lateMs = nowMs - dueMs;
      if (lateMs > intervalMs) for (const entry of this.#entries.values()) entry.deadlineMs += lateMs;
      for (const entry of [...this.#entries.values()]) if (entry.state === 'claimed' && nowMs > entry.deadlineMs) this.#takeAway(entry);
      if (!this.#closed) this.#watch();
    });
  }

  #takeAway(entry: Entry): void {
    const { onLost, retries } = this.#options;
    onLost?.(entry.task.id, entry.worker);
    this.#countClaim('lost');
    entry.preemptions += 1;
    if (entry.preemptions <= retries.preemptions) return this.#giveBack(entry);
    const message = `its workers were lost ${entry.preemptions} times, the last one "${entry.worker}"`;
    const error: TaskError = { code: 'WORKERS_LOST', message };
    // Its failure to be written ends the owner, who holds the journal.
    void this.#end(entry, { kind: 'failed', task: entry.task.id, error, worker: entry.worker, epoch: entry.epoch }).catch(() => {});
  }
}

/** The error of a claim that doesn't hold any more. */
export function claimLost(task: string, why: string): DeepDefenseError {
  return new DeepDefenseError('CLAIM_LOST', { what: `the claim of task "${task}" is lost: ${why}`, fields: { task } });
}
