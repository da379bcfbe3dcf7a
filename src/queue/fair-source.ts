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
  /** Share of the worker's time, relative to the others'; > 0. A function is asked each time. */
  readonly weight: number | (() => number);
}

export interface FairSourceOptions {
  readonly sources: readonly SharedSource[];
  /** A source ended or can't be reached any more; the others go on. */
  readonly onEnd?: ((name: string, error: Error | undefined) => void) | undefined;
  /** How long the one whose turn it is may take to answer before the next is asked as well, in ms. Default 300. */
  readonly headStartMs?: number | undefined;
  /** More may be added: having none is no end. Default false. */
  readonly isEndless?: boolean | undefined;
  /**
   * In [0, 1): decides by weight among those whose turn it is at the same time, so that many workers that start together spread over
   * the sources. Default: the first.
   */
  readonly random?: (() => number) | undefined;
  /**
   * Sources are not asked while the worker is busy: for those whose asking is taken back at once, and whose tasks would otherwise go
   * from one busy worker to the next. Default false: they go on waiting, and give back what comes at the wrong time.
   */
  readonly asksWhenIdle?: boolean | undefined;
  readonly clock?: Clock | undefined;
}

interface Entry extends SharedSource {
  /** Weighted seconds up to which it has been served. */
  served: number;
  /** It is being asked for a task; resolves when it has answered. */
  asking: Promise<void> | undefined;
  /** Takes the question back. */
  taking: AbortController;
  /** It had nothing when it was asked last. */
  isKnownEmpty: boolean;
  /** What it has answered and nobody has taken. */
  answer: Claim | undefined;
  isOver: boolean;
}

const HEAD_START_MS = 300;
/** The same for all together that had nothing the last time. */
const EMPTY_HEAD_START_MS = 50;

/** See the file's header. For one worker, which does one task at a time. */
export class FairSource implements TaskSource {
  readonly #options: FairSourceOptions;
  readonly #clock: Clock;
  #entries: readonly Entry[];
  readonly #closing = new AbortController();
  /** Weighted time of the last task that was begun. */
  #now = 0;
  #wake: (() => void) | undefined;
  #failure: Error | undefined;

  constructor(options: FairSourceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#entries = options.sources.map(fresh);
  }

  /** @throws Error of a source that couldn't be reached, when all others have ended */
  async claim(worker: string, signal: AbortSignal): Promise<Claim | undefined> {
    try {
      return await this.#choose(worker, signal);
    } finally {
      await this.#giveBack();
    }
  }

  async #choose(worker: string, signal: AbortSignal): Promise<Claim | undefined> {
    while (!signal.aborted) {
      const turns = this.#turns();
      if (turns.length === 0 && this.#options.isEndless !== true) {
        if (this.#failure !== undefined) throw this.#failure;
        return undefined;
      }
      await this.#ask(turns, worker, signal);
      const chosen = turns.find(({ answer }) => answer !== undefined);
      if (signal.aborted || chosen?.answer === undefined) continue;
      const { answer } = chosen;
      chosen.answer = undefined;
      return this.#timed(chosen, answer);
    }
    return undefined;
  }

  /** From now on, with the same right to the next turn as those that had nothing to do. */
  add(source: SharedSource): void {
    this.#entries = [...this.#entries, fresh(source)];
    this.#wake?.();
  }

  /** Takes a source out; its task, if one is under way, goes on. The caller closes it. */
  remove(name: string): void {
    const entry = this.#entries.find((each) => each.name === name);
    if (entry === undefined) return;
    entry.isOver = true;
    this.#entries = this.#entries.filter((each) => each !== entry);
    entry.answer?.release().catch(() => {}); // It expires by itself.
    entry.answer = undefined;
    this.#wake?.();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const { taking } of this.#entries) taking.abort();
    await Promise.all(this.#entries.flatMap(({ asking }) => (asking === undefined ? [] : [asking])));
    await this.#giveBack();
    await Promise.all(this.#entries.map(({ source }) => source.close()));
  }

  /** All that aren't over, in the order of their turns. */
  #turns(): Entry[] {
    const { random } = this.#options;
    const ties = new Map(this.#entries.map((entry) => [entry, random === undefined ? 0 : -Math.log(1 - random()) / weightOf(entry)]));
    return this.#entries
      .filter(({ isOver }) => !isOver)
      .sort((a, b) => this.#turn(a) - this.#turn(b) || (ties.get(a) as number) - (ties.get(b) as number));
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
      const { headStartMs = HEAD_START_MS } = this.#options;
      /** Of those asked so far that may still answer. */
      let waitMs = 0;
      for (const entry of turns) {
        if (waitMs > 0 && !entry.isKnownEmpty && (await this.#endsFirst(changed, waitMs))) return;
        if (!entry.isKnownEmpty) waitMs = 0;
        // One that was asked before and hasn't answered has nothing.
        if (entry.asking !== undefined) continue;
        entry.asking = this.#askOne(entry, worker);
        waitMs = Math.max(waitMs, entry.isKnownEmpty ? EMPTY_HEAD_START_MS : headStartMs);
      }
      await changed;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#wake = undefined;
    }
  }

  /** True when it happens within the head start. */
  async #endsFirst(changed: Promise<void>, withinMs: number): Promise<boolean> {
    let cancel = (): void => {};
    const tooLate = new Promise<false>((resolve) => {
      cancel = this.#clock.setTimer(withinMs, () => resolve(false));
    });
    const isFirst = await Promise.race([changed.then(() => true), tooLate]);
    cancel();
    return isFirst;
  }

  async #askOne(entry: Entry, worker: string): Promise<void> {
    const taking = new AbortController();
    entry.taking = taking;
    try {
      const claim = await entry.source.claim(worker, taking.signal);
      if (claim !== undefined) entry.isKnownEmpty = false;
      if (entry.isOver)
        await claim?.release().catch(() => {}); // It was taken out; the claim expires by itself.
      else if (claim === undefined) {
        if (!taking.signal.aborted || this.#closing.signal.aborted) this.#end(entry, undefined);
      }
      // The worker has found something else to do meanwhile.
      else if (this.#wake === undefined || taking.signal.aborted)
        await claim.release().catch(() => {}); // It expires by itself.
      else entry.answer = claim;
    } catch (error) {
      this.#end(entry, error instanceof Error ? error : new Error(String(error)));
    }
    entry.asking = undefined;
    this.#wake?.();
  }

  #end(entry: Entry, error: Error | undefined): void {
    if (entry.isOver) return;
    entry.isOver = true;
    this.#entries = this.#options.isEndless === true ? this.#entries.filter((each) => each !== entry) : this.#entries;
    this.#failure ??= error;
    if (!this.#closing.signal.aborted) this.#options.onEnd?.(entry.name, error);
  }

  /** Tasks that were answered besides the one that was chosen; questions that are still open. */
  async #giveBack(): Promise<void> {
    for (const entry of this.#entries) {
      if (this.#options.asksWhenIdle === true && entry.asking !== undefined && entry.answer === undefined) {
        entry.isKnownEmpty = true;
        entry.taking.abort();
      }
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
      if (!settled) entry.served = turn + (this.#clock.nowMs() - beganMs) / 1000 / weightOf(entry);
      settled = true;
      await call;
    };
    // Until then it counts as served up to its turn.
    entry.served = turn;
    return {
      task: claim.task,
      epoch: claim.epoch,
      leaseMs: claim.leaseMs,
      extend: () => claim.extend(),
      commit: (result) => settling(claim.commit(result)),
      fail: (error, isLasting) => settling(claim.fail(error, isLasting)),
      release: () => settling(claim.release()),
    };
  }
}

function fresh(source: SharedSource): Entry {
  return { ...source, served: 0, asking: undefined, taking: new AbortController(), isKnownEmpty: false, answer: undefined, isOver: false };
}

function weightOf({ weight }: SharedSource): number {
  return typeof weight === 'number' ? weight : weight();
}
