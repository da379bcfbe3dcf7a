/** @file All red flags of an evaluation. */
import type { EvaluationView } from '../evaluation/evaluation-view.ts';
import { blackBox, lossMismatch, noiseBreaks, singleStep, targetedWeaker, transferStronger } from './attack-comparisons.ts';
import { constantSign, lowLinearity, nondeterministic, otherDirections, outOfScale, probabilities, zeroGradients } from './diagnostics.ts';
import { chanceAtLargeRadius, notConverged, notMonotone, stuckInRadius } from './radius-and-effort.ts';
import type { RedFlag, RedFlagRule } from './red-flag.ts';
import { unboundedFails } from './unbounded.ts';

/** In the order in which they are reported: alarms first. */
export const RED_FLAG_RULES: readonly RedFlagRule[] = [
  singleStep,
  blackBox,
  noiseBreaks,
  transferStronger,
  chanceAtLargeRadius,
  stuckInRadius,
  unboundedFails,
  zeroGradients,
  constantSign,
  otherDirections,
  nondeterministic,
  probabilities,
  targetedWeaker,
  lossMismatch,
  notMonotone,
  notConverged,
  outOfScale,
  lowLinearity,
];

/** The rules that each network breaks, in the order of the rules, then of the networks. */
export function findRedFlags(view: EvaluationView): readonly RedFlag[] {
  return RED_FLAG_RULES.flatMap((rule) =>
    view.record.models.flatMap((_, model): RedFlag[] => {
      const evidence = rule.check(view, model) ?? [];
      return evidence.length === 0 ? [] : [{ rule, model, evidence }];
    }),
  );
}

/** A rule, and the networks to which it couldn't be applied. */
export interface UncheckedRule {
  readonly rule: RedFlagRule;
  /** Indices into the models of the record. */
  readonly models: readonly number[];
}

/** Rules that could not be applied to some networks, because what they look at wasn't measured. */
export function uncheckedRules(view: EvaluationView): readonly UncheckedRule[] {
  return RED_FLAG_RULES.flatMap((rule) => {
    const models = view.record.models.flatMap((_, model) => (rule.check(view, model) === undefined ? [model] : []));
    return models.length === 0 ? [] : [{ rule, models }];
  });
}
