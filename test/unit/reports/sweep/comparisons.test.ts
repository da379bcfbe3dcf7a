import { describe, expect, it } from 'vitest';
import { compareGroups } from '../../../../src/reports/sweep/group-comparison.ts';
import { layerGroups } from '../../../../src/reports/sweep/layer-groups.ts';
import { canBeSignificant, pairWithBaseline } from '../../../../src/reports/sweep/paired-seeds.ts';
import { paretoFront } from '../../../../src/reports/sweep/pareto-front.ts';
import { analyseSweep } from '../../../../src/reports/sweep/sweep-analysis.ts';
import { layerSweep, madeUpSweep } from '../../../support/sweep-records.ts';

const WEIGHTS = ['input', 'conv1', 'conv2'].map((layer) => ({
  name: `strategy.gfa.weights.${layer}`,
  scale: 'linear' as const,
  low: 0,
  high: 1,
}));
const weights = (...values: number[]): Record<string, number> =>
  Object.fromEntries(values.map((value, i) => [WEIGHTS[i]?.name as string, value]));

describe('groups of layers', () => {
  const first = [0.61, 0.55, 0.72, 0.68, 0.59];
  const deep = [0.52, 0.57, 0.49, 0.63, 0.44, 0.51, 0.5];
  const record = madeUpSweep({
    candidates: [
      ...first.map((value) => ({ parameters: weights(0.5, 0, 0), values: [[[value, 1 - value]]] })),
      ...deep.map((value, i) => ({ parameters: weights(0, i % 2, 0.3), values: [[[value, 1 - value]]] })),
      { parameters: weights(0.2, 0.1, 0), values: [[[0.9, 0.1]]] },
    ],
    fields: {
      parameters: WEIGHTS,
      objectives: [
        { name: 'clean-accuracy', goal: 'maximize', unit: 'share' },
        { name: 'value', goal: 'minimize', unit: '' },
      ],
    },
  });

  it('compareGroups: tells First, Deep and both by their weights', () => {
    const { groups, tests } = compareGroups(record, layerGroups(record), 0);
    expect(groups.map(({ name, members }) => [name, members.length])).toEqual([
      ['First', 5],
      ['Deep', 7],
      ['both', 1],
    ]);
    expect(groups[0]?.medians[0]?.median).toBe(0.61);
    expect(groups[1]?.medians[0]?.median).toBe(0.51);
    expect(groups[1]?.best.map(({ candidate }) => candidate.candidate)).toEqual([8, 8]);
    // scipy.stats.mannwhitneyu(first, deep, method='exact'), SciPy 1.17.1; six tests.
    const clean = tests[0];
    expect(clean).toMatchObject({ objective: 0, first: 'First', second: 'Deep' });
    expect(clean?.p).toBeCloseTo(0.030303030303030304, 12);
    expect(clean?.firstBetter).toBeCloseTo(31 / 35, 12);
    expect(clean?.adjusted).toBeCloseTo(6 * 0.030303030303030304, 12);
    // The second objective is 1 - the first and to be minimised: the same group is better.
    expect(tests[3]?.firstBetter).toBeCloseTo(31 / 35, 12);
  });

  it('layerGroups: are none when the space has no weight of the input', () => {
    expect(layerGroups({ parameters: WEIGHTS.slice(1) })).toEqual([]);
    expect(layerGroups({ parameters: [{ name: 'input', scale: 'linear' }] })).toEqual([]);
  });

  it('analyseSweep: compares groups on the rung with most candidates and on that of the front', () => {
    expect(analyseSweep(layerSweep({ seeds: 2 })).groups.map(({ rung }) => rung)).toEqual([0, 2]);
  });
});

describe('paired seeds', () => {
  const baseline = [0.7, 0.68, 0.72, 0.71, 0.69, 0.705, 0.695, 0.715];
  const gains = [0.011, 0.024, -0.003, 0.019, 0.008, 0.031, -0.012, 0.027];
  const record = madeUpSweep({
    candidates: [
      { values: [baseline.map((value) => [value, 0.3])] },
      { values: [baseline.map((value, i) => [value + (gains[i] as number), 0.3])] },
    ],
  });
  const front = paretoFront(record)?.front ?? [];

  it('pairWithBaseline: gives mean, t interval and exact p of the differences', () => {
    const paired = pairWithBaseline(record, front, 0);
    const [clean, robust] = paired?.differences ?? [];
    // scipy.stats.wilcoxon(gains, method='exact') and scipy.stats.t.interval, SciPy 1.17.1.
    expect(clean?.difference.n).toBe(8);
    expect(clean?.difference.mean).toBeCloseTo(0.013125, 12);
    expect(clean?.difference.interval?.low).toBeCloseTo(0.0005374999582168395, 9);
    expect(clean?.difference.interval?.high).toBeCloseTo(0.025712500041783163, 9);
    expect(clean).toMatchObject({ p: 0.078125, adjusted: 0.15625, exact: true });
    expect(robust).toMatchObject({ p: 1, difference: { mean: 0, sd: 0 } });
    expect(paired).toMatchObject({ lower: false, unpaired: [] });
  });

  it('pairWithBaseline: compares seeds that both have, on the highest rung that both have', () => {
    const other = madeUpSweep({
      rungs: 2,
      candidates: [
        { values: [[[0.5, 0.2], undefined, [0.6, 0.3]]] },
        {
          values: [
            [
              [0.52, 0.2],
              [0.9, 0.9],
              [0.61, 0.3],
            ],
            [
              [0.7, 0.4],
              [0.7, 0.4],
              [0.7, 0.4],
            ],
          ],
        },
        { values: [[undefined, [0.6, 0.6], undefined]] },
      ],
    });
    const all = [...(paretoFront(other)?.front ?? [])];
    const paired = pairWithBaseline(other, all, 0);
    expect(paired?.differences[0]).toMatchObject({ rung: 0, difference: { n: 2 } });
    expect(paired?.differences[0]?.difference.mean).toBeCloseTo(0.015, 12);
    expect(paired?.lower).toBe(true);
    expect(pairWithBaseline(other, all, 2)?.differences[0]?.difference.n).toBe(1);
    expect(pairWithBaseline(other, all, 9)).toBeUndefined();
  });

  it('canBeSignificant: needs six pairs', () => {
    expect([1, 4, 5, 6, 7].map(canBeSignificant)).toEqual([false, false, false, true, true]);
  });

  it('analyseSweep: fails with USAGE when the baseline is no candidate', () => {
    expect(() => analyseSweep(record, { baseline: 2 })).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
