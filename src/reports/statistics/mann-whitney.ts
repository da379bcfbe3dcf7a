/** @file Whether values of one group tend to be larger than those of another: the Mann-Whitney test. */
import { normalTail } from './normal.ts';
import { ranksOf } from './ranks.ts';

export interface RankSumTest {
  /** Two-sided, in (0, 1]. */
  readonly p: number;
  /** P(a value of the first group > one of the second) + half of P(equal): 0.5 = no tendency. */
  readonly superiority: number;
  readonly exact: boolean;
}

/** Most values of both groups together for which the distribution of the rank sum is computed exactly. */
const MOST_EXACT = 40;

/**
 * The Mann-Whitney test (Mann & Whitney 1947), two-sided. Up to 40 values p is exact, given the ties: from the rank sums of all choices of
 * so many values. Above it is the normal approximation with corrections for ties and continuity.
 * @throws RangeError when a group is empty
 */
export function mannWhitney(first: readonly number[], second: readonly number[]): RankSumTest {
  const [n, m] = [first.length, second.length];
  if (n === 0 || m === 0) throw new RangeError(`no comparison of ${n} with ${m} values`);
  const { ranks, tieTerm } = ranksOf([...first, ...second]);
  const rankSum = ranks.slice(0, n).reduce((sum, rank) => sum + rank, 0);
  const u = rankSum - (n * (n + 1)) / 2;
  const superiority = u / (n * m);
  const total = n + m;
  if (total <= MOST_EXACT) return { p: exactP(ranks, n, rankSum), superiority, exact: true };
  const variance = ((n * m) / 12) * (total + 1 - tieTerm / (total * (total - 1)));
  if (variance === 0) return { p: 1, superiority, exact: false };
  const z = Math.max(0, Math.abs(u - (n * m) / 2) - 0.5) / Math.sqrt(variance);
  return { p: Math.min(1, 2 * normalTail(z)), superiority, exact: false };
}

/** Twice the smaller tail, among all choices of n ranks. Ranks are halves at finest, so they are counted doubled. */
function exactP(ranks: readonly number[], n: number, rankSum: number): number {
  const sums = ranks.length * (ranks.length + 1) + 1;
  // counts[k][s]: choices of k ranks with doubled sum s.
  const counts = Array.from({ length: n + 1 }, () => new Float64Array(sums));
  (counts[0] as Float64Array)[0] = 1;
  for (const rank of ranks)
    for (let k = n; k >= 1; k--) {
      const [own, fewer] = [counts[k] as Float64Array, counts[k - 1] as Float64Array];
      for (let sum = sums - 1; sum >= 2 * rank; sum--) own[sum] = (own[sum] as number) + (fewer[sum - 2 * rank] as number);
    }
  const chosen = counts[n] as Float64Array;
  const sumOf = (part: Float64Array): number => part.reduce((sum, count) => sum + count, 0);
  const [low, high] = [sumOf(chosen.subarray(0, 2 * rankSum + 1)), sumOf(chosen.subarray(2 * rankSum))];
  return Math.min(1, (2 * Math.min(low, high)) / sumOf(chosen));
}
