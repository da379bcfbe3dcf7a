/**
 * @file Where the time of the workers goes. Every moment of every worker that prepares or is ready falls into exactly one class, so the
 * classes add up to all worker time. What a worker computes is classed when it has answered, as only then it is known to count. Pure:
 * times come in as arguments.
 */

/**
 * Classes of worker time:
 * - `useful`: computation of training answers that were counted;
 * - `recomputed`: work on answers that didn't count, as they were refused, superseded, cancelled or lost with their worker;
 * - `stragglers`: without work while others compute the rest of a step;
 * - `coordinator`: messages, waits for sums and update between two steps, and waits for a coordinator that crashed;
 * - `checkpointing`: waits for a checkpoint;
 * - `evaluation`: evaluations, with the waits inside them;
 * - `preparing`: opens data, compiles, initialises;
 * - `idle`: ready, and nothing to do: too few workers, a spare, or quarantined.
 */
export const WORKER_TIMES = [
  'useful',
  'recomputed',
  'stragglers',
  'coordinator',
  'checkpointing',
  'evaluation',
  'preparing',
  'idle',
] as const;
export type WorkerTime = (typeof WORKER_TIMES)[number];

/** Seconds by class, summed over workers. */
export type WorkerSeconds = Record<WorkerTime, number>;

/** Nothing of any class. */
export function noTime(): WorkerSeconds {
  return Object.fromEntries(WORKER_TIMES.map((name) => [name, 0])) as WorkerSeconds;
}

/** What a worker does: computes something whose worth isn't known yet, or spends its time in a known way. */
export type Activity = 'training' | 'evaluating' | Exclude<WorkerTime, 'useful'>;

/** Worker time of a run so far, all its processes together. */
export interface GoodputReport {
  /** Seconds by class, summed over workers. */
  readonly seconds: Readonly<WorkerSeconds>;
  /** Share of useful seconds in all, 0..1; 0 when there are none. */
  readonly usefulShare: number;
}

interface Spell {
  readonly activity: Activity;
  sinceMs: number;
  /** Of a computing worker: time up to `sinceMs` that no answer has claimed. */
  unclaimedMs: number;
}

/** See the file's header. */
export class Goodput {
  readonly #earlier: Readonly<WorkerSeconds>;
  /** By class, of this process. */
  readonly #totalsMs = noTime();
  readonly #spells = new Map<number, Spell>();

  /** @param earlier time of the run's earlier processes */
  constructor(earlier: Readonly<WorkerSeconds> = noTime()) {
    this.#earlier = earlier;
  }

  /** The worker does this from now on; nothing changes when it does so already. */
  turn(id: number, activity: Activity, nowMs: number): void {
    if (this.#spells.get(id)?.activity === activity) return;
    this.leave(id, nowMs);
    this.#spells.set(id, { activity, sinceMs: nowMs, unclaimedMs: 0 });
  }

  /** The worker's time isn't counted any more: it is gone or silent. */
  leave(id: number, nowMs: number): void {
    const spell = this.#spells.get(id);
    if (spell === undefined) return;
    this.#spells.delete(id);
    const { activity } = spell;
    const elapsedMs = since(spell, nowMs);
    if (!isComputing(activity)) {
      this.#totalsMs[activity] += elapsedMs;
      return;
    }
    // Whatever it computed since its last answer is lost.
    this.#totalsMs.recomputed += elapsedMs;
    this.#totalsMs[activity === 'training' ? 'coordinator' : 'evaluation'] += spell.unclaimedMs;
  }

  /**
   * The worker answers. The time that its answers don't explain is that of messages.
   * @param computeMs pure computation as the worker reports it; no more of it counts than has passed.
   */
  answered(id: number, computeMs: number, isCounted: boolean, nowMs: number): void {
    const spell = this.#spells.get(id);
    if (spell === undefined || !isComputing(spell.activity)) return;
    const passedMs = spell.unclaimedMs + since(spell, nowMs);
    const claimedMs = Math.min(Math.max(0, computeMs), passedMs);
    const worth = spell.activity === 'training' ? 'useful' : 'evaluation';
    this.#totalsMs[isCounted ? worth : 'recomputed'] += claimedMs;
    spell.sinceMs = nowMs;
    spell.unclaimedMs = passedMs - claimedMs;
  }

  /** All time of the run until now, but for that of workers that compute, since their last answer. */
  report(nowMs: number): GoodputReport {
    const seconds = this.ownSeconds(nowMs);
    for (const name of WORKER_TIMES) seconds[name] += this.#earlier[name];
    const all = Object.values(seconds).reduce((sum, value) => sum + value, 0);
    return { seconds, usefulShare: all === 0 ? 0 : seconds.useful / all };
  }

  /** The part of this process in it; no class of it ever becomes less. */
  ownSeconds(nowMs: number): WorkerSeconds {
    const totalsMs = { ...this.#totalsMs };
    for (const spell of this.#spells.values()) {
      const { activity } = spell;
      if (!isComputing(activity)) totalsMs[activity] += since(spell, nowMs);
    }
    return Object.fromEntries(WORKER_TIMES.map((name) => [name, totalsMs[name] / 1000])) as WorkerSeconds;
  }
}

function isComputing(activity: Activity): activity is 'training' | 'evaluating' {
  return activity === 'training' || activity === 'evaluating';
}

/** A clock that was set back must not take time away. */
function since({ sinceMs }: Spell, nowMs: number): number {
  return Math.max(0, nowMs - sinceMs);
}
