import { describe, expect, it } from 'vitest';
import { SAMPLER_NAMES, SCHEDULER_NAMES } from '../../../src/config/index.ts';
import type { SweepEvent } from '../../../src/journal/index.ts';
import { functionSweep, goOn, reopened, runSweep } from '../../support/sweeps.ts';

/** What may not depend on timing. */
const outcomeOf = (state: ReturnType<typeof reopened>) => ({
  decisions: state.planner.decisionsSha256,
  candidates: state.planner.candidates,
  measurements: [...state.measurements.keys()].sort(),
});

describe('sweep in timing-invariant mode', () => {
  it.each(SAMPLER_NAMES.flatMap((sampler) => SCHEDULER_NAMES.map((scheduler) => [sampler, scheduler] as const)))(
    '%s with %s: makes the same decisions with any number of workers, whoever finishes first',
    (sampler, scheduler) => {
      const source = functionSweep({
        sampler: { name: sampler, startup: 6, population: 6 },
        scheduler: { name: scheduler, population: 20 },
      });
      const expected = outcomeOf(runSweep(source, 1, 0).state);
      expect(expected.candidates.length).toBeGreaterThanOrEqual(25);
      for (const [workers, order] of [
        [2, 1],
        [3, 2],
        [50, 3],
      ] as const)
        expect(outcomeOf(runSweep(source, workers, order).state)).toEqual(expected);
    },
  );

  it('goes on from its journal as if nothing had happened, wherever it was cut off', () => {
    const source = functionSweep({ sampler: { name: 'tpe', startup: 5 }, seeds: [1, 2] });
    const whole = runSweep(source, 3, 1);
    const expected = outcomeOf(whole.state);
    for (let cut = 1; cut < whole.events.length; cut += 7) {
      const events = whole.events.slice(0, cut);
      const state = reopened(events);
      goOn({ state, events }, 2, cut);
      expect(outcomeOf(state)).toEqual(expected);
    }
  });

  it('stays the same with failed trials, which rank last', () => {
    const source = functionSweep();
    const fails = ({ part }: { part: { candidate: number } }) => part.candidate % 4 === 1;
    const expected = outcomeOf(runSweep(source, 1, 0, fails).state);
    expect(expected.candidates.filter(({ state }) => state === 'failed').every(({ candidate }) => candidate % 4 === 1)).toBe(true);
    expect(outcomeOf(runSweep(source, 7, 5, fails).state)).toEqual(expected);
  });

  it('depends on the seed', () => {
    const decisions = (seed: number) => runSweep(functionSweep({ seed }), 1, 0).state.planner.decisionsSha256;
    expect(decisions(1)).not.toBe(decisions(2));
  });
});

describe('sweep in throughput mode', () => {
  it('is replayed from its journal exactly', () => {
    const source = functionSweep({ mode: 'throughput', sampler: { name: 'tpe', startup: 5 } });
    const runs = [1, 2, 3].map((order) => runSweep(source, 4, order));
    for (const { state, events } of runs) expect(outcomeOf(reopened(events))).toEqual(outcomeOf(state));
    expect(new Set(runs.map(({ state }) => state.planner.decisionsSha256)).size).toBeGreaterThan(1);
  });
});

describe('sweep', () => {
  it('ends a grid with its last point, each once', () => {
    const { state } = runSweep(
      functionSweep({ sampler: { name: 'grid' }, scheduler: { name: 'none' }, budget: { candidates: 100 } }),
      3,
      1,
    );
    const points = state.planner.candidates.map(({ parameters }) => JSON.stringify(parameters));
    expect(points).toHaveLength(25);
    expect(new Set(points).size).toBe(25);
    expect(state.planner.exhausted).toBe(true);
  });

  it('passes over points that a constraint excludes', () => {
    const constraints = [{ sum: ['x1', 'x2'], max: 1 }];
    const { state } = runSweep(
      functionSweep({ sampler: { name: 'grid' }, scheduler: { name: 'none' }, budget: { candidates: 100 }, constraints }),
      3,
      1,
    );
    expect(state.planner.candidates).toHaveLength(15);
  });

  it('says that a space has no valid point', () => {
    expect(() => runSweep(functionSweep({ constraints: [{ sum: ['x1', 'x2'], min: 3 }] }), 1, 1)).toThrow('no valid point');
  });

  it('takes more candidates when it is extended, also from its journal', () => {
    const source = functionSweep();
    const { state, events } = runSweep(source, 2, 1);
    const extension: SweepEvent = { type: 'sweep-controlled', action: 'extend', candidates: 45 };
    const extended = reopened([...events, extension]);
    goOn({ state: extended, events: [] }, 2, 2);
    expect(extended.planner.candidates).toHaveLength(45);
    expect(extended.planner.candidates.slice(0, 30).map(({ point }) => point)).toEqual(state.planner.candidates.map(({ point }) => point));
  });

  it('with failed trials tried again ends like one in which nothing failed', () => {
    const source = functionSweep({ sampler: { name: 'tpe', startup: 5 } });
    const expected = outcomeOf(runSweep(source, 1, 0).state);
    const { state, events } = runSweep(source, 3, 1, ({ part }) => part.candidate % 5 === 2);
    const failed = [...state.measurements].flatMap(([key, { values }]) => (values === null ? [key] : []));
    expect(failed.length).toBeGreaterThan(3);
    const again = reopened([...events, { type: 'failed-retried', from: 'checkpoint', measurements: failed }]);
    goOn({ state: again, events: [] }, 2, 7);
    const found = outcomeOf(again);
    expect(found.decisions).toBe(expected.decisions);
    expect(found.candidates).toEqual(expected.candidates);
  });

  it('does not measure a trial twice that two candidates share', () => {
    const source = functionSweep({
      space: { x1: { type: 'category', values: [0.1, 0.2, 0.3] }, x2: { type: 'float', low: 0.5, high: 0.5 } },
      scheduler: { name: 'none' },
    });
    const { state, events } = runSweep(source, 3, 1);
    expect(state.planner.candidates).toHaveLength(3);
    expect(events.filter(({ type }) => type === 'trial-measured')).toHaveLength(3);
  });

  it('prefers candidates on the Pareto front when it has two objectives', () => {
    const source = functionSweep({ function: 'zdt1', objectives: [{ name: 'value' }, { name: 'value2' }] });
    const { state } = runSweep(source, 3, 1);
    const first = new Map(
      [...state.measurements.values()].filter(({ rung }) => rung === 0).map(({ candidate, values }) => [candidate, values ?? []]),
    );
    const dominators = (candidate: number) => {
      const own = first.get(candidate) ?? [];
      return [...first.values()].filter((other) => other.every((value, i) => value < (own[i] as number))).length;
    };
    const mean = (numbers: readonly number[]) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
    const of = (wanted: string) =>
      state.planner.candidates.filter((each) => each.state === wanted).map(({ candidate }) => dominators(candidate));
    expect(of('completed').length).toBeGreaterThanOrEqual(3);
    expect(mean(of('completed'))).toBeLessThan(mean(of('paused')) / 2);
  });
});
