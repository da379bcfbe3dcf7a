import { describe, expect, it } from 'vitest';
import { wilsonInterval } from '../../../src/reports/index.ts';

describe('wilsonInterval', () => {
  // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3 (score, no correction).
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('wilsonInterval: gives the published limits when %i of %i succeed', (successes, count, low, high) => {
    const interval = wilsonInterval(successes, count);
    expect(interval.low).toBeCloseTo(low, 4);
    expect(interval.high).toBeCloseTo(high, 4);
  });

  it('wilsonInterval: stays within [0,1] when all succeed', () => {
    expect(wilsonInterval(7, 7).high).toBe(1);
  });

  it('wilsonInterval: refuses when there is no sample or more successes than samples', () => {
    expect(() => wilsonInterval(0, 0)).toThrow(RangeError);
    expect(() => wilsonInterval(3, 2)).toThrow(RangeError);
  });
});
