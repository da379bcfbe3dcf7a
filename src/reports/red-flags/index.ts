/** @file All red flags, and a look at one evaluation with each of them. */
import type { EvaluationView } from '../evaluation/evaluation-view.ts';
import { blackBox, lossMismatch, noiseBreaks, singleStep, targetedWeaker, transferStronger } from './attack-comparisons.ts';
import { constantSign, lowLinearity, nondeterministic, otherDirections, outOfScale, probabilities, zeroGradients } from './diagnostics.ts';
import { chanceAtLargeRadius, notConverged, notMonotone, stuckInRadius } from './radius-and-effort.ts';
import type { RedFlag, RedFlagRule } from './red-flag.ts';
import { unboundedFails } from './unbounded.ts';

export type { RedFlag, RedFlagRule, Severity } from './red-flag.ts';
export { ATTACK_ORDER, MASKING_MARGIN } from './thresholds.ts';

/** Alarms first. */
export const RED_FLAGS: readonly RedFlagRule[] = [
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

export interface RedFlagReport {
  /** In the order of {@link RED_FLAGS}, then of the networks. */
  readonly raised: readonly RedFlag[];
  /** Rules that could not be applied to some networks, because what they look at wasn't measured. */
  readonly unchecked: readonly { readonly rule: RedFlagRule; readonly models: readonly number[] }[];
}

/** Applies every rule to every network. */
export function redFlags(view: EvaluationView): RedFlagReport {
  const looked = RED_FLAGS.map((rule) => ({ rule, found: view.record.models.map((_, model) => rule.check(view, model)) }));
  return {
    raised: looked.flatMap(({ rule, found }) =>
      found.flatMap((evidence, model) => (evidence === undefined || evidence.length === 0 ? [] : [{ rule, model, evidence }])),
    ),
    unchecked: looked.flatMap(({ rule, found }) => {
      const models = found.flatMap((evidence, model) => (evidence === undefined ? [model] : []));
      return models.length === 0 ? [] : [{ rule, models }];
    }),
  };
}
