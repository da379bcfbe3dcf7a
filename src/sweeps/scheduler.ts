/** @file What a scheduler is: it says which candidate goes on to which rung. It sees measurements in an order that doesn't depend on timing. */
import type { Ranked } from './ranking.ts';

/** What to do with a free place. */
export type Decision =
  /** Start a new candidate and measure it first on this rung. */
  | { readonly kind: 'new'; readonly rung: number }
  /** Let a paused candidate go on to this rung. */
  | { readonly kind: 'promote'; readonly candidate: number; readonly rung: number }
  /** Start a new candidate with the weights that another one had on the rung before, and parameters near its; it takes the place of a third. */
  | { readonly kind: 'fork'; readonly parent: number; readonly rung: number; readonly replaces: number }
  /** Nothing to do until a measurement comes. */
  | { readonly kind: 'wait' };

/** What becomes of a candidate that has been measured. */
export type Verdict =
  /** Goes on to the next rung at once. */
  | { readonly kind: 'continue' }
  /** Waits, maybe for ever. */
  | { readonly kind: 'pause' }
  /** Is not worth more. */
  | { readonly kind: 'stop'; readonly reason: string }
  /** Has reached the highest rung. */
  | { readonly kind: 'complete' };

/** Decides; its state is a fold over the calls. */
export interface Scheduler {
  /**
   * @param mayStart false when no new candidates are to be had: the budget is used up or the space has no more.
   * @param mayFork false when no forks are to be had: the budget is used up, or no point near the parent's is new
   */
  next(mayStart: boolean, mayFork: boolean): Decision;
  /** The candidate that was asked for with `new` or `fork` has this number. */
  started(candidate: number, rung: number): void;
  /** Once per candidate and rung. `losses` of a failed candidate are undefined, and the verdict on it doesn't matter. */
  measured(member: Ranked, rung: number): Verdict;
}

export interface SchedulerOptions {
  /** Number of rungs, >= 1. */
  readonly rungs: number;
  /** One of so many goes on. */
  readonly reduction: number;
  /** Other results that the median rule needs. */
  readonly grace: number;
  /** Candidates of the whole sweep. */
  readonly candidates: number;
  /** Members of a population. */
  readonly population: number;
  /** Share of a population that is replaced on a rung, and share that replaces it; in (0, 0.5]. */
  readonly quantile: number;
  readonly seed: number;
}
