/** @file Median of distances, with an interval that assumes nothing about their distribution. */
import type { Interval } from '../wilson.ts';
import { fairBinomialTail } from './binomial.ts';

export interface Median {
  /** Infinite when half of the values or more are. */
  readonly median: number;
  /** 95 % interval; undefined below 6 values, where no pair of values covers the median so surely. */
  readonly interval: Interval | undefined;
  readonly count: number;
}

/**
 * The median and its interval between two order statistics: value l and value n + 1 - l of the sorted ones, with the largest l for which
 * P(Bin(n, 1/2) < l) <= 2.5 % (exact for continuous distributions, e.g. Conover 1999, section 3.2).
 * @param values may hold Infinity, for attacks that failed; they count as farther than all others
 * @throws RangeError for no values
 */
export function medianOf(values: readonly number[]): Median {
  const count = values.length;
  if (count === 0) throw new RangeError('no median of no values');
  const sorted = values.toSorted((a, b) => a - b);
  const at = (rank: number): number => sorted[rank - 1] as number;
  const median = count % 2 === 1 ? at((count + 1) / 2) : (at(count / 2) + at(count / 2 + 1)) / 2;
  let rank = 0;
  while (rank < count / 2 && fairBinomialTail(rank, count) <= 0.025) rank++;
  return { median, interval: rank === 0 ? undefined : { low: at(rank), high: at(count + 1 - rank) }, count };
}
