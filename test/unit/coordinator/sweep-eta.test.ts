import { describe, expect, it } from 'vitest';
import { SweepEta } from '../../../src/coordinator/sweep-eta.ts';
import { SweepState } from '../../../src/coordinator/index.ts';
import type { TrialMeasured } from '../../../src/journal/index.ts';
import { functionSweep, measure, reopened, runSweep, startedOf } from '../../support/sweeps.ts';

const SECONDS_EACH = 2;

/** One worker that measures one part every two seconds. */
class Watched {
  readonly state: SweepState;
  readonly eta: SweepEta;
  readonly events: TrialMeasured[] = [];
  #nowMs = 1e12;

  constructor(state: SweepState) {
    this.state = state;
    this.eta = new SweepEta(state, { nowMs: () => this.#nowMs, setTimer: () => () => {} });
  }

  wait(seconds: number): void {
    this.#nowMs += seconds * 1_000;
  }

  measure(most = Number.POSITIVE_INFINITY): number {
    for (let i = 0; i < most; i++) {
      const [due] = this.state.due;
      if (due === undefined) return i;
      const measured = measure(this.state, due);
      this.wait(SECONDS_EACH);
      this.eta.count(measured);
      this.state.add(measured);
      this.state.advance();
      this.events.push(measured);
    }
    return most;
  }
}

describe('expected end of a sweep', () => {
  // 30 parts on the first rung, 10 on the second, 3 on the third.
  const source = functionSweep({ scheduler: { name: 'successive-halving' } });

  it('is unknown before the first measurement, right in the middle and zero at the end', () => {
    const watched = new Watched(SweepState.fresh(source));
    expect(watched.eta.secondsLeft()).toBeUndefined();
    watched.measure(1);
    expect(watched.eta.secondsLeft()).toBeCloseTo(42 * SECONDS_EACH);
    watched.measure(32);
    expect(watched.eta.secondsLeft()).toBeCloseTo(10 * SECONDS_EACH);
    expect(watched.measure()).toBe(10);
    expect(watched.eta.secondsLeft()).toBe(0);
  });

  it('leaves pauses out of the rate', () => {
    const watched = new Watched(SweepState.fresh(source));
    watched.measure(10);
    watched.eta.restart();
    watched.wait(3600);
    watched.eta.restart();
    expect(watched.eta.secondsLeft()).toBeUndefined();
    watched.measure(3);
    expect(watched.eta.secondsLeft()).toBeCloseTo(30 * SECONDS_EACH);
  });

  it('counts what earlier processes measured as done, not in the rate', () => {
    const first = new Watched(SweepState.fresh(source));
    first.measure(20);
    const choices = runSweep(source, 1, 1).events.filter(({ type }) => type === 'candidate-chosen');
    const second = new Watched(reopened([startedOf(source), ...choices, ...first.events]));
    expect(second.eta.secondsLeft()).toBeUndefined();
    second.measure(3);
    expect(second.eta.secondsLeft()).toBeCloseTo(20 * SECONDS_EACH);
  });

  it('grows with an extension', () => {
    const asha = functionSweep({ scheduler: { name: 'none' } });
    const watched = new Watched(SweepState.fresh(asha));
    watched.measure(10);
    expect(watched.eta.secondsLeft()).toBeCloseTo(20 * SECONDS_EACH);
    watched.state.planner.extend(60);
    watched.eta.extended();
    expect(watched.eta.secondsLeft()).toBeCloseTo(50 * SECONDS_EACH);
  });
});
