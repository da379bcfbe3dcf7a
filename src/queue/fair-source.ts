/**
 * @file Several queues as one source of tasks: a worker's time is shared among them by weight (start-time fair queueing, Goyal et al. 1996).
 * One that had nothing to do for a while gets its next turn at once, and no more than its share afterwards.
 */
import { type Clock, systemClock } from '../core/index.ts';
import type { Claim, TaskSource } from './task-queue.ts';

export interface SharedSource {
  /** For messages. */
  readonly name: string;
  readonly source: TaskSource;
  /** Share of the worker's time, relative to the others'; > 0. */
  readonly weight: number;
}

export interface FairSourceOptions {
  readonly sources: readonly SharedSource[];
  /** A source ended or can't be reached any more; the others go on. */
  readonly onEnd?: ((name: string, error: Error | undefined) => void) | undefined;
  /** How long the one whose turn it is may take to answer before the next is asked as well, in ms. Default 300. */
  readonly headStartMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

interface Entry extends SharedSource {
  /** Weighted seconds up to which it has been served. */
  served: number;
  /** It is being asked for a task; resolves when it has answered. */
  asking: Promise<void> | undefined;
  /** What it has answered and nobody has taken. */
  answer: Claim | undefined;
  isOver: boolean;
}

const HEAD_START_MS = 300;

/** See the file's header. For one worker, which does one task at a time. */
export class FairSource implements TaskSource {
  readonly #options: FairSourceOptions;
  readonly #clock: Clock;
  readonly #entries: readonly Entry[];
  readonly #closing = new AbortController();
  /** Weighted time of the last task that was begun. */
  #now = 0;
  #wake: (() => void) | undefined;
  #failure: Error | undefined;

  constructor(options: FairSourceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#entries = options.sources.map((source) => ({ ...source, served: 0, asking: undefined, answer: undefined, isOver: false }));
  }

  /** @throws Error of a source that couldn't be reached, when all others have ended */
  async claim(worker: string, signal: AbortSignal): Promise<Claim | undefined> {
    while (!signal.aborted) {
      const turns = this.#entries.filter(({ isOver }) => !isOver).sort((a, b) => this.#turn(a) - this.#turn(b));
      if (turns.length === 0) {
        if (this.#failure !== undefined) throw this.#failure;
        return undefined;
      }
      await this.#ask(turns, worker, signal);
      const chosen = turns.find(({ answer }) => answer !== undefined);
      if (chosen?.answer === undefined) continue;
      const { answer } = chosen;
      chosen.answer = undefined;
      await this.#giveBack();
      return this.#timed(chosen, answer);
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#entries.flatMap(({ asking }) => (asking === undefined ? [] : [asking])));
    await this.#giveBack();
    await Promise.all(this.#entries.map(({ source }) => source.close()));
  }

  /** Weighted time at which it is a source's turn. */
  #turn({ served }: Entry): number {
    return Math.max(served, this.#now);
  }

  /** Asks one after the other, each after a head start, until one has a task, one has ended, or the worker is asked to leave. */
  async #ask(turns: readonly Entry[], worker: string, signal: AbortSignal): Promise<void> {
    const changed = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const onAbort = () => this.#wake?.();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const isLast = (i: number) => i === turns.length - 1;
      for (const [i, entry] of turns.entries()) {
        entry.asking ??= this.#askOne(entry, worker);
        if (isLast(i)) await changed;
        else if (await this.#endsFirst(changed)) return;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#wake = undefined;
    }
  }

  /** True when it happens within the head start. */
  async #endsFirst(changed: Promise<void>): Promise<boolean> {
    let cancel = (): void => {};
    const tooLate = new Promise<false>((resolve) => {
      cancel = this.#clock.setTimer(this.#options.headStartMs ?? HEAD_START_MS, () => resolve(false));
    });
    const isFirst = await Promise.race([changed.then(() => true), tooLate]);
    cancel();
    return isFirst;
  }

  async #askOne(entry: Entry, worker: string): Promise<void> {
    try {
      const claim = await entry.source.claim(worker, this.#closing.signal);
      if (claim === undefined) this.#end(entry, undefined);
      // The worker has found something else to do meanwhile.
      else if (this.#wake === undefined)
        await claim.release().catch(() => {}); // It expires by itself.
      else entry.answer = claim;
    } catch (error) {
      this.#end(entry, error instanceof Error ? error : new Error(String(error)));
    }
    entry.asking = undefined;
    this.#wake?.();
  }

  #end(entry: Entry, error: Error | undefined): void {
    entry.isOver = true;
    this.#failure ??= error;
    if (!this.#closing.signal.aborted) this.#options.onEnd?.(entry.name, error);
  }

  /** Tasks that were answered besides the one that was chosen. */
  async #giveBack(): Promise<void> {
    for (const entry of this.#entries) {
      const { answer } = entry;
      entry.answer = undefined;
      await answer?.release().catch(() => {}); // It expires by itself.
    }
  }

  /** The claim, whose time is put down to its source when it is settled. */
  #timed(entry: Entry, claim: Claim): Claim {
    const beganMs = this.#clock.nowMs();
    const turn = this.#turn(entry);
    this.#now = turn;
    let settled = false;
    const settling = async (call: Promise<void>): Promise<void> => {
      if (!settled) entry.served = turn + (this.#clock.nowMs() - beganMs) / 1000 / entry.weight;
      settled = true;
      await call;
    };
    // Until then it counts as served up to its turn.
    entry.served = turn;
    return {
      task: claim.task,
      sweep: entry.name,
      epoch: claim.epoch,
      leaseMs: claim.leaseMs,
      extend: () => claim.extend(),
      commit: (result) => settling(claim.commit(result)),
      fail: (error, isLasting) => settling(claim.fail(error, isLasting)),
      release: () => settling(claim.release()),
    };
  }
}
