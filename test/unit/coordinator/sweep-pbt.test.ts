import { describe, expect, it } from 'vitest';
import { resolveSweep } from '../../../src/config/index.ts';
import type { SweepEvent } from '../../../src/journal/index.ts';
import type { PartWork } from '../../../src/sweeps/index.ts';
import { SweepState } from '../../../src/coordinator/index.ts';
import { functionSweep, goOn, reopened, runSweep } from '../../support/sweeps.ts';

const pbt = (overrides: object = {}, scheduler: object = {}) =>
  functionSweep({ scheduler: { name: 'pbt', population: 8, ...scheduler }, budget: { candidates: 40 }, ...overrides });

const outcomeOf = (state: SweepState) => ({ decisions: state.planner.decisionsSha256, candidates: state.planner.candidates });

describe('population based training', () => {
  it('replaces the worst of each rung by forks of the best, and keeps the population as large as it was', () => {
    const { state } = runSweep(pbt(), 3, 1);
    const { candidates } = state.planner;
    expect(candidates).toHaveLength(8 + 2 + 2);
    const lossOn = (rung: number) =>
      new Map(
        [...state.measurements.values()]
          .filter((each) => each.rung === rung)
          .map(({ candidate, values }) => [candidate, values?.[0] as number]),
      );
    for (const rung of [0, 1, 2]) expect(lossOn(rung).size).toBe(8);
    for (const rung of [0, 1]) {
      const order = [...lossOn(rung)].sort(([, a], [, b]) => a - b).map(([candidate]) => candidate);
      const forks = candidates.filter(({ parent }) => parent?.rung === rung);
      expect(forks).toHaveLength(2);
      for (const { parent } of forks) expect(order.slice(0, 2)).toContain(parent?.candidate);
      const replaced = candidates.filter(({ reason }) =>
        forks.some(({ candidate }) => reason.startsWith(`replaced by candidate ${candidate},`)),
      );
      expect(replaced.map(({ candidate, state: its }) => ({ candidate, its })).sort((a, b) => a.candidate - b.candidate)).toEqual(
        order
          .slice(-2)
          .sort((a, b) => a - b)
          .map((candidate) => ({ candidate, its: 'stopped' })),
      );
    }
    expect(candidates.filter((each) => each.state === 'completed')).toHaveLength(8);
  });

  it('gives a fork an id of its own that covers where it comes from', () => {
    const { state } = runSweep(
      pbt(
        {
          space: { x1: { type: 'category', values: [0.2, 0.5] }, x2: { type: 'float', low: 0.5, high: 0.5 } },
          sampler: { name: 'random' },
        },
        { population: 2, quantile: 0.5 },
      ),
      2,
      1,
    );
    const { candidates } = state.planner;
    expect(new Set(candidates.flatMap(({ trials }) => trials)).size).toBe(candidates.length);
    const fork = candidates.find(({ parent }) => parent !== undefined);
    const origin = candidates.find(({ candidate }) => candidate === fork?.parent?.candidate);
    expect(fork?.trials).toHaveLength(origin?.trials.length ?? -1);
  });

  it('goes on from its journal as if nothing had happened, wherever it was cut off', () => {
    const source = pbt({ sampler: { name: 'tpe', startup: 5 }, seeds: [1, 2] });
    const whole = runSweep(source, 3, 1);
    const expected = outcomeOf(whole.state);
    for (let cut = 1; cut < whole.events.length; cut += 5) {
      const events = whole.events.slice(0, cut);
      const state = reopened(events);
      goOn({ state, events }, 2, cut);
      expect(outcomeOf(state)).toEqual(expected);
    }
  });

  it('replaces members that failed, and ends when all have', () => {
    const some = runSweep(pbt(), 3, 1, ({ part }) => part.rung === 0 && part.candidate % 2 === 1).state;
    expect(some.planner.candidates.filter(({ state }) => state === 'failed')).toHaveLength(4);
    expect(some.planner.candidates.filter(({ parent }) => parent?.rung === 0)).toHaveLength(4);
    expect([...some.measurements.values()].filter(({ rung }) => rung === 2)).toHaveLength(8);
    const none = runSweep(pbt(), 3, 1, () => true).state;
    expect(none.planner.candidates.map(({ state }) => state)).toEqual(Array.from({ length: 8 }, () => 'failed'));
  });

  it('lets members go on that nobody may replace any more, and takes an extension in the middle', () => {
    const source = pbt({ budget: { candidates: 9 } });
    const { state } = runSweep(source, 3, 1);
    expect(state.planner.candidates).toHaveLength(9);
    expect(state.planner.candidates.filter((each) => each.state === 'completed')).toHaveLength(8);
    const part = runSweep(source, 3, 1).events.slice(0, 14);
    const extension: SweepEvent = { type: 'sweep-controlled', action: 'extend', candidates: 12 };
    const extended = reopened([...part, extension]);
    goOn({ state: extended, events: [] }, 2, 2);
    expect(extended.planner.candidates).toHaveLength(12);
  });

  it('has a population as large as the space where that has fewer points', () => {
    const source = pbt({ sampler: { name: 'grid' } }, { population: 30 });
    const { candidates } = runSweep(source, 3, 1).state.planner;
    expect(candidates.filter(({ parent }) => parent === undefined)).toHaveLength(25);
    expect(candidates.filter(({ parent }) => parent !== undefined)).toHaveLength(12);
  });

  it('keeps to constraints', () => {
    const { candidates } = runSweep(pbt({ constraints: [{ sum: ['x1', 'x2'], max: 0.7 }] }), 3, 1).state.planner;
    for (const { parameters } of candidates) expect(Number(parameters.x1) + Number(parameters.x2)).toBeLessThanOrEqual(0.7 + 1e-9);
  });

  it('says what a fork goes on from, and where that came from', () => {
    const sweep = resolveSweep({
      config: {},
      space: { 'strategy.gfa.strength': { type: 'log-float', low: 0.1, high: 10 } },
      objectives: [{ name: 'clean-accuracy' }],
      rungs: [{ epochs: 1 }, { epochs: 2 }, { epochs: 3 }],
      scheduler: { name: 'pbt', population: 2, quantile: 0.5 },
      seeds: [3, 4],
    });
    const { state } = runSweep({ sweep, base: { strategy: { name: 'deep' }, data: { source: 'synthetic' } } }, 2, 1);
    const { candidates } = state.planner;
    const fork = candidates.find(({ parent }) => parent?.rung === 1);
    const parent = candidates[fork?.parent?.candidate ?? -1];
    if (fork === undefined || parent === undefined) throw new Error('no fork');
    const part = { candidate: fork.candidate, seedIndex: 1, rung: 2, fromRung: 1 };
    const work = state.trials.workOf(part, fork, (each) => state.chosen(each)) as Extract<PartWork, { kind: 'training' }>;
    expect(work).toMatchObject({ forkable: true, config: { seed: 4 }, origin: { trial: parent.trials[1], rung: 1, epochs: 2 } });
    expect(work.origin?.config.strategy.gfa.strength).toBe(parent.parameters['strategy.gfa.strength']);
    expect(work.config.strategy.gfa.strength).toBe(fork.parameters['strategy.gfa.strength']);
  });

  it.each([
    [{ rungs: [{ epochs: 1 }] }, 'at least two rungs'],
    [{ rungs: [{ epochs: 1 }, { epochs: 1 }] }, 'more epochs than the one before'],
    [{ budget: { candidates: 5 } }, 'at least scheduler.population = 8'],
  ])('refuses %j', (overrides, message) => {
    expect(() => runSweep(pbt(overrides), 1, 1)).toThrow(message);
  });

  it.each(['model.name', 'optimizer.name', 'train.batchSize', 'strategy.adversarial.steps', 'seed'])(
    'refuses to vary %s, which training can not change on its way',
    (key) => {
      const sweep = resolveSweep({
        space: { [key]: { type: 'category', values: ['cnn3', 'vgg6'] } },
        objectives: [{ name: 'clean-accuracy' }],
        rungs: [{ epochs: 1 }, { epochs: 2 }],
        scheduler: { name: 'pbt' },
      });
      expect(() => SweepState.fresh({ sweep, base: { data: { source: 'synthetic' } } })).toThrow(
        "can't change in the middle of a training",
      );
    },
  );
});
