/** @file Whether paired differences lie on one side of zero: Wilcoxon's signed-rank test. */
import { normalTail } from './normal.ts';
import { ranksOf } from './ranks.ts';

export interface SignedRankTest {
  /** Two-sided, in (0, 1]; 1 when no pair differs. */
  readonly p: number;
  /** Pairs that differ; equal ones are left out, as Wilcoxon did. */
  readonly n: number;
  /** Whether p is from the exact distribution of the rank sum. */
  readonly exact: boolean;
}

/** Most pairs for which the distribution of the rank sum is computed exactly. */
const MOST_EXACT = 20;

/**
 * Wilcoxon's signed-rank test (Wilcoxon 1945), two-sided. Up to 20 differing pairs p is exact, given the ties: from the rank sums under all
 * 2^n signs. Above it is the normal approximation with correction for ties, without one for continuity.
 */
export function wilcoxonSignedRank(differences: readonly number[]): SignedRankTest {
  const nonZero = differences.filter((value) => value !== 0);
  const n = nonZero.length;
  if (n === 0) return { p: 1, n, exact: true };
  const { ranks, tieTerm } = ranksOf(nonZero.map(Math.abs));
  const positive = ranks.reduce((sum, rank, index) => sum + ((nonZero[index] as number) > 0 ? rank : 0), 0);
  const statistic = Math.min(positive, (n * (n + 1)) / 2 - positive);
  if (n <= MOST_EXACT) return { p: Math.min(1, 2 * shareOfSigns(ranks, statistic)), n, exact: true };
  const variance = (n * (n + 1) * (2 * n + 1)) / 24 - tieTerm / 48;
  const z = ((n * (n + 1)) / 4 - statistic) / Math.sqrt(variance);
  return { p: Math.min(1, 2 * normalTail(Math.max(0, z))), n, exact: false };
}

/** The smallest p that n pairs can give: all differences on one side, 2 of 2^n signs. */
export function smallestSignedRankP(n: number): number {
  return Math.min(1, 2 ** (1 - n));
}

/** Share of all choices of signs whose positive ranks sum to at most `limit`. Ranks are halves at finest, so they are counted doubled. */
function shareOfSigns(ranks: readonly number[], limit: number): number {
  const counts = new Float64Array(ranks.length * (ranks.length + 1) + 1);
  counts[0] = 1;
  for (const rank of ranks)
    for (let sum = counts.length - 1; sum >= 2 * rank; sum--) counts[sum] = at(counts, sum) + at(counts, sum - 2 * rank);
  return counts.subarray(0, 2 * limit + 1).reduce((sum, count) => sum + count, 0) / 2 ** ranks.length;
}

function at(counts: Float64Array, index: number): number {
  return counts[index] as number;
}
