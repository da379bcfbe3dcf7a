import { describe, expect, test } from 'vitest';
import { fairBinomialTail } from '../../../../src/reports/statistics/binomial.ts';
import { holm, mcnemarExact, pairedCounts } from '../../../../src/reports/statistics/mcnemar.ts';
import { medianOf } from '../../../../src/reports/statistics/median.ts';

describe('fairBinomialTail', () => {
  test("is Pascal's triangle over a power of two", () => {
    // 1 + 10 + 45 of 1024.
    expect(fairBinomialTail(2, 10)).toBeCloseTo(56 / 1024, 14);
    expect(fairBinomialTail(-1, 10)).toBe(0);
    expect(fairBinomialTail(10, 10)).toBe(1);
  });

  test('stays exact for thousands of trials', () => {
    // By symmetry half of an odd number of trials lies below the middle.
    expect(fairBinomialTail(4999, 9999)).toBeCloseTo(0.5, 9);
  });
});

describe('mcnemarExact', () => {
  test('counts images that only one network gets right', () => {
    expect(pairedCounts('110100', '101110')).toEqual({ onlyFirst: 1, onlySecond: 2 });
    expect(() => pairedCounts('1', '11')).toThrow(RangeError);
  });

  test('is the two-sided binomial test', () => {
    // 2 * (1 + 10 + 45) / 1024
    expect(mcnemarExact({ onlyFirst: 2, onlySecond: 8 })).toBeCloseTo(0.109375, 12);
    expect(mcnemarExact({ onlyFirst: 8, onlySecond: 2 })).toBeCloseTo(0.109375, 12);
    expect(mcnemarExact({ onlyFirst: 0, onlySecond: 6 })).toBeCloseTo(2 / 64, 12);
    expect(mcnemarExact({ onlyFirst: 5, onlySecond: 5 })).toBe(1);
    expect(mcnemarExact({ onlyFirst: 0, onlySecond: 0 })).toBe(1);
  });

  test('Holm multiplies by the number of hypotheses left and never falls', () => {
    const adjusted = holm([0.01, 0.04, 0.03, 0.005]);
    for (const [index, expected] of [0.03, 0.06, 0.06, 0.02].entries()) expect(adjusted[index]).toBeCloseTo(expected, 12);
    expect(holm([0.6, 0.7])).toEqual([1, 1]);
    expect(holm([])).toEqual([]);
  });
});

describe('medianOf', () => {
  test('takes the order statistics that tables of the sign test give', () => {
    // n = 20: ranks 6 and 15 cover the median with 95.9 %.
    const values = Array.from({ length: 20 }, (_, i) => 20 - i);
    expect(medianOf(values)).toEqual({ median: 10.5, interval: { low: 6, high: 15 }, count: 20 });
  });

  test('has no interval below 6 values, and the extremes at 6', () => {
    expect(medianOf([3, 1, 2, 5, 4]).interval).toBeUndefined();
    expect(medianOf([3, 1, 2, 5, 4, 9]).interval).toEqual({ low: 1, high: 9 });
  });

  test('counts failed attacks as farther than all others', () => {
    expect(medianOf([1, 2, Number.POSITIVE_INFINITY]).median).toBe(2);
    expect(medianOf([1, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]).median).toBe(Number.POSITIVE_INFINITY);
    expect(() => medianOf([])).toThrow(RangeError);
  });
});
