/**
 * @file Whether workers are missing: what is said while a job waits for them, and the end of a run that has been without any for too
 * long. Part of the worker pool, which asks at every change and at the times given here.
 */
import { DeepDefenseError } from '../core/index.ts';
import type { TaskFailure } from '../wire/index.ts';
import type { Membership } from './membership.ts';
import type { PoolObserver } from './pool-observer.ts';
import type { RunningJob } from './seat.ts';

/** How often a wait for workers is said again. */
const WAITING_NOTICE_MS = 10_000;

/** See the file's header. Times come in as arguments. */
export class Shortage {
  readonly #membership: Membership;
  readonly #observer: PoolObserver;
  readonly #workersLostMs: number;
  #everJoined = false;
  #emptySinceMs: number | undefined;
  /** While a job waits. */
  #noticeAtMs: number | undefined;
  #lastFailure: string | undefined;

  /** @param workersLostMs once a worker has joined: with none for this long, the job fails */
  constructor(membership: Membership, observer: PoolObserver, workersLostMs: number) {
    this.#membership = membership;
    this.#observer = observer;
    this.#workersLostMs = workersLostMs;
  }

  /** A worker has joined. */
  joined(): void {
    this.#everJoined = true;
  }

  /** A worker reports a failure, which may be why others are missing, too. */
  failed({ code, message }: TaskFailure): void {
    this.#lastFailure = `${code}: ${message}`;
  }

  /** The members may have changed. */
  look(nowMs: number): void {
    this.#emptySinceMs = this.#membership.present().length > 0 ? undefined : (this.#emptySinceMs ?? nowMs);
  }

  /**
   * Says what is missing: at once, then every {@link WAITING_NOTICE_MS}, until work can go on.
   * @returns when to call again; undefined when nothing is missing.
   */
  tell({ job, granted }: RunningJob, nowMs: number): number | undefined {
    const ready = this.#membership.ready().length;
    const needed = granted ? 1 : job.minWorkers;
    if (ready >= needed) {
      if (this.#noticeAtMs !== undefined) this.#observer.waitingEnded?.();
      this.#noticeAtMs = undefined;
      return undefined;
    }
    if (this.#noticeAtMs === undefined || nowMs >= this.#noticeAtMs) {
      this.#noticeAtMs = nowMs + WAITING_NOTICE_MS;
      const members = this.#membership.all();
      this.#observer.waiting?.({
        job,
        needed,
        ready,
        preparing: members.filter(({ state, silent }) => state === 'preparing' && !silent).length,
        silent: members.filter(({ silent }) => silent).length,
        lastFailure: this.#lastFailure,
      });
    }
    return this.#noticeAtMs;
  }

  /** The job that may have waited is over. */
  forget(): void {
    this.#noticeAtMs = undefined;
  }

  /** When {@link lost} may become true by the passing of time alone. */
  get lostAtMs(): number | undefined {
    return this.#everJoined && this.#emptySinceMs !== undefined ? this.#emptySinceMs + this.#workersLostMs : undefined;
  }

  /** The error that ends the job; undefined while it may wait. */
  lost(nowMs: number): DeepDefenseError | undefined {
    if (!this.#everJoined || this.#emptySinceMs === undefined) return undefined;
    const emptyMs = nowMs - this.#emptySinceMs;
    if (emptyMs < this.#workersLostMs) return undefined;
    return new DeepDefenseError('WORKERS_LOST', {
      what: `no worker has been there for ${emptyMs} ms`,
      expected: `at least one within cluster.workersLostMs = ${this.#workersLostMs}`,
      ...(this.#lastFailure === undefined ? {} : { got: `last failure: ${this.#lastFailure}` }),
      todo: 'start workers and resume the run',
    });
  }
}
