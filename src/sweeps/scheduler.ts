/** @file What a scheduler is: it says which candidate goes on to which rung. It sees measurements in an order that doesn't depend on timing. */
import type { Ranked } from './ranking.ts';

/** What to do with a free place. */
export type Decision =
  /** Start a new candidate and measure it first on this rung. */
  | { readonly kind: 'new'; readonly rung: number }
  /** Let a paused candidate go on to this rung. */
  | { readonly kind: 'promote'; readonly candidate: number; readonly rung: number }
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
  /** @param mayStart false when no new candidates are to be had: the budget is used up or the space has no more. */
  next(mayStart: boolean): Decision;
  /** The candidate that was asked for with `new` has this number. */
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
}
