/** @file All red flags of an evaluation. */
import type { EvaluationView } from '../evaluation/evaluation-view.ts';
import { blackBox, lossMismatch, noiseBreaks, singleStep, targetedWeaker, transferStronger } from './attack-comparisons.ts';
import { chanceAtLargeRadius, notConverged, notMonotone, stuckInRadius } from './radius-and-effort.ts';
import type { RedFlag, RedFlagRule } from './red-flag.ts';
import { unboundedFails } from './unbounded.ts';

/** In the order in which they are reported. */
export const RED_FLAG_RULES: readonly RedFlagRule[] = [
  singleStep,
  blackBox,
  noiseBreaks,
  chanceAtLargeRadius,
  stuckInRadius,
  unboundedFails,
  transferStronger,
  targetedWeaker,
  lossMismatch,
  notMonotone,
  notConverged,
];

/** The rules that each network breaks; network by network. */
export function findRedFlags(view: EvaluationView): readonly RedFlag[] {
  return view.record.models.flatMap((_, model) =>
    RED_FLAG_RULES.flatMap((rule): RedFlag[] => {
      const evidence = rule.check(view, model) ?? [];
      return evidence.length === 0 ? [] : [{ rule, model, evidence }];
    }),
  );
}
