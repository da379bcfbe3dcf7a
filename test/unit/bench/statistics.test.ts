import { describe, expect, it } from 'vitest';
import { formatRange, formatSpread, spreadOf } from '../../../bench/statistics.ts';

describe('spreadOf', () => {
  it('spreadOf: takes the middle value when the count is odd, in any order', () => {
    expect(spreadOf([9, 1, 4])).toEqual({ median: 4, min: 1, max: 9 });
  });

  it('spreadOf: averages the middle two when the count is even', () => {
    expect(spreadOf([10, 1, 4, 2])).toEqual({ median: 3, min: 1, max: 10 });
  });

  it('spreadOf: sorts by value and not by text', () => {
    expect(spreadOf([100, 20, 3]).median).toBe(20);
  });

  it('spreadOf: throws when there is no value', () => {
    expect(() => spreadOf([])).toThrow(RangeError);
  });
});

describe('formatSpread', () => {
  it('formatSpread: shows the median and the range with so many digits', () => {
    const spread = spreadOf([2.26, 1, 10]);
    expect(formatSpread(spread, 1)).toBe('2.3 (1.0 - 10.0)');
    expect(formatRange(spread, 0)).toBe('1 - 10');
  });
});
