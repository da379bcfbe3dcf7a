/** @file Expected figures are SciPy 1.17.1's; the call stands beside each. */
import { describe, expect, it } from 'vitest';
import { mannWhitney } from '../../../../src/reports/statistics/mann-whitney.ts';
import { normalTail } from '../../../../src/reports/statistics/normal.ts';
import { ranksOf } from '../../../../src/reports/statistics/ranks.ts';
import { meanOf, studentCdf, studentQuantile } from '../../../../src/reports/statistics/student-t.ts';
import { smallestSignedRankP, wilcoxonSignedRank } from '../../../../src/reports/statistics/wilcoxon.ts';

describe('Student t', () => {
  it('studentQuantile: is scipy.stats.t.ppf', () => {
    const expected = [12.706204736174694, 4.302652729749462, 2.7764451051977934, 2.262157162798205, 2.0422724563012378];
    for (const [index, freedom] of [1, 2, 4, 9, 30].entries())
      expect(studentQuantile(0.975, freedom)).toBeCloseTo(expected[index] as number, 9);
    expect(studentQuantile(0.9, 3)).toBeCloseTo(1.637744353696209, 10);
    expect(studentQuantile(0.1, 3)).toBeCloseTo(-1.637744353696209, 10);
    expect(studentCdf(-1.3, 5)).toBeCloseTo(0.12515031708533855, 12);
  });

  it('meanOf: gives SD with n - 1 and the interval of scipy.stats.t.interval', () => {
    const { mean, sd, n, interval } = meanOf([0.712, 0.698, 0.731, 0.705, 0.72]);
    expect(n).toBe(5);
    expect(mean).toBeCloseTo(0.7132, 12);
    expect(sd).toBeCloseTo(0.01287245120402483, 12);
    expect(interval?.low).toBeCloseTo(0.6972167407713277, 10);
    expect(interval?.high).toBeCloseTo(0.7291832592286722, 10);
  });

  it('meanOf: gives neither SD nor interval when there is one value', () => {
    expect(meanOf([0.7])).toEqual({ mean: 0.7, sd: undefined, n: 1, interval: undefined });
    expect(() => meanOf([])).toThrow(RangeError);
  });
});

describe('rank tests', () => {
  it('normalTail: is scipy.stats.norm.sf on both sides of the change of series', () => {
    const expected = [0.5, 0.3085375387259869, 0.024997895148220435, 0.0013543365337271057, 0.0013454728250849653, 9.865876450376946e-10];
    for (const [index, z] of [0, 0.5, 1.96, 2.999, 3.001, 6].entries())
      expect(normalTail(z) / (expected[index] as number)).toBeCloseTo(1, 9);
  });

  it('ranksOf: shares ranks among equal values as scipy.stats.rankdata', () => {
    expect(ranksOf([3, 1, 3, 2, 3, 1])).toEqual({ ranks: [5, 1.5, 5, 3, 5, 1.5], tieTerm: 24 + 6 });
  });

  it("wilcoxonSignedRank: is scipy.stats.wilcoxon(method='exact') without ties", () => {
    expect(wilcoxonSignedRank([0.011, 0.024, -0.003, 0.019, 0.008, 0.031, -0.012, 0.027])).toEqual({ p: 0.078125, n: 8, exact: true });
  });

  it('wilcoxonSignedRank: is scipy.stats.permutation_test over all signs when there are ties and a zero', () => {
    expect(wilcoxonSignedRank([3, -1, 2, 2, 5, -2, 4, 0, 1, 6])).toEqual({ p: 0.05078125, n: 9, exact: true });
  });

  it("wilcoxonSignedRank: is scipy.stats.wilcoxon(method='approx') above 20 pairs", () => {
    const differences = Array.from({ length: 25 }, (_, i) => (((i * 37) % 29) - 11) / 10);
    const { p, n, exact } = wilcoxonSignedRank(differences);
    expect([n, exact]).toEqual([24, false]);
    expect(p).toBeCloseTo(0.15295972389843476, 9);
  });

  it('smallestSignedRankP: is what differences on one side give', () => {
    for (const n of [1, 3, 5, 6, 9]) expect(smallestSignedRankP(n)).toBe(wilcoxonSignedRank(Array.from({ length: n }, (_, i) => i + 1)).p);
    expect(wilcoxonSignedRank([0, 0])).toEqual({ p: 1, n: 0, exact: true });
  });

  it("mannWhitney: is scipy.stats.mannwhitneyu(method='exact') without ties", () => {
    const { p, superiority, exact } = mannWhitney([0.61, 0.55, 0.72, 0.68, 0.59], [0.52, 0.57, 0.49, 0.63, 0.44, 0.51, 0.5]);
    expect(exact).toBe(true);
    expect(p).toBeCloseTo(0.030303030303030304, 12);
    expect(superiority).toBeCloseTo(31 / 35, 12);
  });

  it('mannWhitney: is scipy.stats.permutation_test over all choices when there are ties', () => {
    const { p, superiority } = mannWhitney([1, 2, 2, 5, 7], [2, 3, 3, 8, 9, 9, 10]);
    expect(p).toBeCloseTo(0.09595959595959595, 12);
    expect(superiority).toBeCloseTo(7 / 35, 12);
  });

  it("mannWhitney: is scipy.stats.mannwhitneyu(method='asymptotic') above 40 values", () => {
    const first = Array.from({ length: 25 }, (_, i) => ((i * 37) % 29) / 10);
    const second = Array.from({ length: 30 }, (_, i) => ((i * 17) % 31) / 10 + 0.6);
    const { p, superiority, exact } = mannWhitney(first, second);
    expect(exact).toBe(false);
    expect(p).toBeCloseTo(0.006825800566442823, 9);
    expect(superiority).toBeCloseTo(214.5 / 750, 12);
    expect(() => mannWhitney([], [1])).toThrow(RangeError);
  });
});
