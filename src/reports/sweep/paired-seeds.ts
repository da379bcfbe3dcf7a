/** @file Candidates against a baseline, seed by seed: the same seeds make the differences smaller than those of means. */
import type { CandidateRecord, SweepRecord } from '../../sweeps/index.ts';
import { holm } from '../statistics/mcnemar.ts';
import { type MeanEstimate, meanOf } from '../statistics/student-t.ts';
import { smallestSignedRankP, wilcoxonSignedRank } from '../statistics/wilcoxon.ts';
import { type CandidateResult, measuredOn } from './candidate-result.ts';

/** One candidate minus the baseline in one objective. */
export interface PairedDifference {
  readonly candidate: CandidateRecord;
  readonly objective: number;
  readonly rung: number;
  /** Candidate minus baseline, in the objective's own sense and unit; n = pairs of equal seed. */
  readonly difference: MeanEstimate;
  /** Wilcoxon's signed-rank test, two-sided; and Holm-adjusted over all differences of the comparison. */
  readonly p: number;
  readonly adjusted: number;
  /** Whether p is exact. */
  readonly exact: boolean;
}

export interface PairedComparison {
  readonly baseline: CandidateRecord;
  readonly differences: readonly PairedDifference[];
  /** Whether some are compared on a lower rung than that of their results, since the baseline got no further. */
  readonly lower: boolean;
  /** Candidates without a rung and seed in common with the baseline. */
  readonly unpaired: readonly CandidateRecord[];
}

/** Whether so many pairs can give p < 0.05 at all; below 6 they can't, however large the differences are. */
export function canBeSignificant(pairs: number): boolean {
  return smallestSignedRankP(pairs) < 0.05;
}

/** Compares on the highest rung that both have a seed on. Undefined when the sweep has no such baseline. */
export function pairWithBaseline(
  record: SweepRecord,
  results: readonly CandidateResult[],
  baselineNumber: number,
): PairedComparison | undefined {
  const baseline = record.candidates.find(({ candidate }) => candidate === baselineNumber);
  if (baseline === undefined) return undefined;
  const others = results.map(({ candidate }) => candidate).filter(({ candidate }) => candidate !== baselineNumber);
  const pairs = others.map((candidate) => ({ candidate, ...pairsOf(record, candidate, baseline) }));
  const paired = pairs.filter(({ differences }) => differences.length > 0);
  const tests = paired.flatMap(({ candidate, rung, differences }) =>
    record.objectives.map((_, objective) => {
      const values = differences.map((each) => each[objective] as number);
      return { candidate, objective, rung, difference: meanOf(values), ...wilcoxonSignedRank(values) };
    }),
  );
  const adjusted = holm(tests.map(({ p }) => p));
  return {
    baseline,
    differences: tests.map(({ candidate, objective, rung, difference, p, exact }, index) => ({
      candidate,
      objective,
      rung,
      difference,
      p,
      exact,
      adjusted: adjusted[index] as number,
    })),
    lower: paired.some(({ candidate, rung }) => results.some((result) => result.candidate === candidate && rung < result.rung)),
    unpaired: pairs.filter(({ differences }) => differences.length === 0).map(({ candidate }) => candidate),
  };
}

/** One vector of differences per seed that both were measured with. */
function pairsOf(
  record: SweepRecord,
  candidate: CandidateRecord,
  baseline: CandidateRecord,
): { readonly rung: number; readonly differences: readonly (readonly number[])[] } {
  for (let rung = record.rungs.length - 1; rung >= 0; rung--) {
    const other = new Map(measuredOn(baseline, rung).map(({ seed, values }) => [seed, values]));
    const differences = measuredOn(candidate, rung).flatMap(({ seed, values }) => {
      const paired = other.get(seed);
      return paired === undefined ? [] : [values.map((value, index) => roundedDifference(value, paired[index] as number))];
    });
    if (differences.length > 0) return { rung, differences };
  }
  return { rung: 0, differences: [] };
}

/** To 12 digits of the larger value: differences that are equal as decimals must share their rank, and rounding must not make one of none. */
function roundedDifference(a: number, b: number): number {
  const largest = Math.max(Math.abs(a), Math.abs(b));
  if (largest === 0) return 0;
  const decimals = 11 - Math.floor(Math.log10(largest));
  return decimals >= 0 && decimals <= 100 ? Number((a - b).toFixed(decimals)) : a - b;
}
