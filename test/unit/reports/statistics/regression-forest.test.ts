import { describe, expect, it } from 'vitest';
import { mainEffects, type Measure } from '../../../../src/reports/statistics/functional-anova.ts';
import { growForest, permutationImportances, unseenR2 } from '../../../../src/reports/statistics/regression-forest.ts';
import type { TrainingTable, Tree } from '../../../../src/reports/statistics/regression-tree.ts';

const leaf = (value: number): Tree => ({ kind: 'leaf', value });

/** Four numbers of which the first two matter: y = 4 x0 + 2 [x1 > 0.6] + 0.3 sin(7 i). */
function fourNumbers(): TrainingTable {
  const factors = [0.6180339887498949, 0.4142135623730951, 0.7320508075688772, 0.2360679774997898];
  const columns = factors.map((factor) => Float64Array.from({ length: 80 }, (_, i) => (i * factor) % 1));
  const target = Float64Array.from({ length: 80 }, (_, i) => {
    const [x0, x1] = [columns[0]?.[i] as number, columns[1]?.[i] as number];
    return 4 * x0 + (x1 > 0.6 ? 2 : 0) + 0.3 * Math.sin(7 * i);
  });
  return { features: factors.map(() => ({ kind: 'numeric' })), columns, target };
}

describe('growForest', () => {
  it('unseenR2, permutationImportances: agree with scikit-learn on the same rows', () => {
    const forest = growForest(fourNumbers(), { trees: 400, key: [1] });
    // RandomForestRegressor(400, min_samples_leaf=3, max_features=4), scikit-learn 1.9.1, three seeds: out-of-bag R^2 0.953, 0.950, 0.953.
    expect(Math.abs(unseenR2(forest) - 0.952)).toBeLessThan(0.015);
    const importances = permutationImportances(forest, 40, [1]);
    // Loss of its out-of-bag R^2 under 40 shuffles, mean over the three seeds.
    for (const [feature, expected] of [0.97, 0.698, 0, 0.014].entries())
      expect(Math.abs((importances[feature] as number) - expected)).toBeLessThan(0.05);
  });

  it('growForest: grows the same trees from the same key and others from another', () => {
    const r2 = (key: number): number => unseenR2(growForest(fourNumbers(), { trees: 8, key: [key] }));
    expect(r2(5)).toBe(r2(5));
    expect(r2(5)).not.toBe(r2(6));
  });

  it('growForest: tells categories apart whatever their order', () => {
    const kinds = Float64Array.from({ length: 60 }, (_, i) => i % 4);
    const table: TrainingTable = {
      features: [{ kind: 'category', size: 4 }],
      columns: [kinds],
      target: kinds.map((kind, i) => (kind === 1 || kind === 3 ? 1 : 0) + 0.01 * Math.sin(i)),
    };
    expect(unseenR2(growForest(table, { trees: 30, key: [2] }))).toBeGreaterThan(0.99);
  });

  it('unseenR2: is not positive when nothing is to be learnt, NaN when nothing varies', () => {
    const { columns, features } = fourNumbers();
    const noise = Float64Array.from({ length: 80 }, (_, i) => ((i * 7919) % 83) / 83);
    expect(unseenR2(growForest({ columns, features, target: noise }, { trees: 100, key: [3] }))).toBeLessThan(0.05);
    expect(unseenR2(growForest({ columns, features, target: noise.map(() => 2) }, { trees: 5, key: [3] }))).toBeNaN();
  });
});

describe('mainEffects', () => {
  const measures: readonly Measure[] = [
    { kind: 'numeric', atom: 0.2 },
    { kind: 'category', weights: [0.5, 0.25, 0.25] },
  ];

  it('mainEffects: is what a small tree gives by hand', () => {
    const tree: Tree = {
      kind: 'split',
      feature: 0,
      rule: { threshold: 0.3 },
      left: leaf(1),
      right: { kind: 'split', feature: 1, rule: { marked: Uint8Array.of(1, 0, 0) }, left: leaf(2), right: leaf(5) },
    };
    // Left: 0.2 + 0.8 * 0.3 = 0.44. Mean 0.44 * 1 + 0.28 * 2 + 0.28 * 5 = 2.4, variance 8.56 - 2.4^2 = 2.8.
    // First alone: 1 or 3.5, variance 0.44 * 0.56 * 2.5^2 = 1.54. Second alone: 1.56 or 3.24, variance 0.25 * 1.68^2 = 0.7056.
    const [first, second] = mainEffects(tree, measures) ?? [];
    expect(first).toBeCloseTo(1.54 / 2.8, 12);
    expect(second).toBeCloseTo(0.7056 / 2.8, 12);
  });

  it('mainEffects: tells a feature that is off from one that is small', () => {
    const tree: Tree = { kind: 'split', feature: 0, rule: { threshold: -0.4 }, left: leaf(3), right: leaf(7) };
    expect(mainEffects(tree, measures)?.map((share) => Number(share.toFixed(12)))).toEqual([1, 0]);
  });

  it('mainEffects: shares variance of a sum as its terms do, and leaves interactions out', () => {
    const split = (feature: number, threshold: number, left: Tree, right: Tree): Tree => ({
      kind: 'split',
      feature,
      rule: { threshold },
      left,
      right,
    });
    const uniform: readonly Measure[] = [
      { kind: 'numeric', atom: 0 },
      { kind: 'numeric', atom: 0 },
    ];
    // 3 [x0 > 0.5] + [x1 > 0.5]: variances 9/4 and 1/4.
    const sum = split(0, 0.5, split(1, 0.5, leaf(0), leaf(1)), split(1, 0.5, leaf(3), leaf(4)));
    expect(mainEffects(sum, uniform)?.[0]).toBeCloseTo(0.9, 12);
    expect(mainEffects(sum, uniform)?.[1]).toBeCloseTo(0.1, 12);
    const exclusiveOr = split(0, 0.5, split(1, 0.5, leaf(0), leaf(1)), split(1, 0.5, leaf(1), leaf(0)));
    expect(mainEffects(exclusiveOr, uniform)).toEqual([0, 0]);
    expect(mainEffects(leaf(2), uniform)).toBeUndefined();
  });
});
