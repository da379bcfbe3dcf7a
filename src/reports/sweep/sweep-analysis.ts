/** @file All that is computed from a record before anything is written. */
import { DeepDefenseError } from '../../core/index.ts';
import type { SweepRecord } from '../../sweeps/index.ts';
import { widestRung } from './candidate-result.ts';
import { compareGroups, type GroupComparison } from './group-comparison.ts';
import { layerGroups } from './layer-groups.ts';
import { type PairedComparison, pairWithBaseline } from './paired-seeds.ts';
import { type ParetoFront, paretoFront } from './pareto-front.ts';
import { type SweepWarning, sweepWarnings } from './sweep-warnings.ts';

export interface SweepReportOptions {
  /** Number of the candidate that those of the front are compared with, seed by seed. Absent = no such comparison. */
  readonly baseline?: number;
}

export interface SweepAnalysis {
  readonly record: SweepRecord;
  /** Undefined before a candidate is complete on any rung. */
  readonly pareto: ParetoFront | undefined;
  readonly warnings: readonly SweepWarning[];
  /** Groups by layers on the rung with the most candidates, and on the front's where that is another; empty without groups to compare. */
  readonly groups: readonly GroupComparison[];
  /** Undefined without a baseline. */
  readonly paired: PairedComparison | undefined;
}

/** @throws DeepDefenseError USAGE for a baseline that the sweep doesn't have */
export function analyseSweep(record: SweepRecord, { baseline }: SweepReportOptions = {}): SweepAnalysis {
  const pareto = paretoFront(record);
  const paired = baseline === undefined ? undefined : pairWithBaseline(record, pareto?.front ?? [], baseline);
  if (baseline !== undefined && paired === undefined)
    throw new DeepDefenseError('USAGE', {
      what: `sweep "${record.sweepId}" has no candidate ${baseline} to compare with`,
      expected: `0 to ${record.candidates.length - 1}`,
      got: String(baseline),
    });
  const groups = layerGroups(record);
  const rungs = [...new Set([widestRung(record), pareto?.rung])].filter((rung) => rung !== undefined);
  const compared =
    groups.length === 0 ? [] : rungs.map((rung) => compareGroups(record, groups, rung)).filter((one) => one.groups.length > 1);
  return { record, pareto, warnings: sweepWarnings(record, pareto), groups: compared, paired };
}
