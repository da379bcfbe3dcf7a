/** @file When a sweep will be over: the work that it is expected to take in all, and how fast work has been done by this process. */
import type { Clock } from '../core/index.ts';
import type { TrialMeasured } from '../journal/index.ts';
import { expectedWork } from './sweep-plan.ts';
import { measurementKey, type SweepState } from './sweep-state.ts';

/** The first estimate holds up the event loop while it plays so many candidates through; those beyond count as much as these on average. */
const MOST_PLAYED = 300;

/** Work is counted in million passes of one image (`Trials.plannedTime`); what workers need to start goes into the rate. */
export class SweepEta {
  readonly #state: SweepState;
  readonly #clock: Clock;
  #expected: number | undefined;
  /** Of the whole sweep. */
  #done: number;
  /** Since {@link restart}. */
  #doneSince = 0;
  #since: number;

  constructor(state: SweepState, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
    this.#since = clock.nowMs();
    this.#done = [...state.measurements.values()].reduce((sum, measured) => sum + this.#plannedOf(measured), 0);
  }

  /** A new measurement; before the state counts it. */
  count(measured: TrialMeasured): void {
    const due = this.#state.wanted(measurementKey(measured.trial, measured.rung));
    if (due === undefined) return;
    const planned = this.#state.trials.plannedTime(due.part, due.chosen);
    this.#done += planned;
    this.#doneSince += planned;
  }

  /** After a pause or its end: the rate is measured anew. */
  restart(): void {
    this.#doneSince = 0;
    this.#since = this.#clock.nowMs();
  }

  /** There are to be more candidates. */
  extended(): void {
    this.#expected = undefined;
  }

  /** Expected seconds to go; undefined before anything was measured by this process. */
  secondsLeft(): number | undefined {
    const { due, trials, planner } = this.#state;
    if (planner.finished) return 0;
    if (this.#doneSince === 0) return undefined;
    const waiting = due.reduce((sum, each) => sum + trials.plannedTime(each.part, each.chosen), 0);
    const left = Math.max(this.#all() - this.#done, waiting);
    return (left * (this.#clock.nowMs() - this.#since)) / 1_000 / this.#doneSince;
  }

  #all(): number {
    this.#expected ??= this.#playThrough();
    return this.#expected;
  }

  #playThrough(): number {
    const { source, planner } = this.#state;
    const candidates = Math.min(planner.budget, MOST_PLAYED);
    const budget = { ...source.sweep.budget, candidates };
    return (expectedWork({ ...source, sweep: { ...source.sweep, budget } }) * planner.budget) / candidates;
  }

  #plannedOf({ trial, candidate, seedIndex, rung }: TrialMeasured): number {
    const { measurements, planner, trials } = this.#state;
    // Decisions that were made anew, after failed trials were tried again, may have fewer candidates.
    if (candidate >= planner.count) return 0;
    let fromRung = rung - 1;
    while (fromRung >= 0 && !measurements.has(measurementKey(trial, fromRung))) fromRung -= 1;
    return trials.plannedTime({ candidate, seedIndex, rung, fromRung }, this.#state.chosen(candidate));
  }
}
