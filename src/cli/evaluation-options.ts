/** @file What `evaluate` is asked, from its options: attacks, radii, number of images. */
import {
  type AttackSpec,
  DEFAULT_RADII,
  describeAttack,
  EVALUATION_SUITES,
  formatAttackSpec,
  type Norm,
  parseAttackSpec,
  parseEpsList,
  type SuiteName,
} from '../config/index.ts';

export interface EvaluationWishes {
  readonly suite: SuiteName;
  /** Specs separated by commas, in place of the suite's. */
  readonly attacks?: string;
  /** L-infinity radii, in place of the suite's. */
  readonly eps?: string;
  readonly epsL2?: string;
  readonly epsL1?: string;
  /** Numbers of pixels. */
  readonly epsL0?: string;
  /** In place of the suite's. */
  readonly samples?: number;
}

export interface EvaluationChoice {
  readonly attacks: readonly AttackSpec[];
  /** By norm of the bounded attacks, ascending. */
  readonly radii: Readonly<Partial<Record<Norm, readonly number[]>>>;
  readonly samples: number;
}

/**
 * Puts suite and options together. An attack that is named twice runs once.
 * @throws DeepDefenseError USAGE for an unknown attack or setting, or a bad radius.
 */
export function chooseEvaluation({ suite, attacks, eps, epsL2, epsL1, epsL0, samples }: EvaluationWishes): EvaluationChoice {
  const preset = EVALUATION_SUITES[suite];
  const texts = attacks === undefined ? preset.attacks : attacks.split(',').map((text) => text.trim());
  const specs = texts.map(parseAttackSpec);
  const distinct = [...new Map(specs.map((spec) => [formatAttackSpec(spec), spec])).values()];
  const known: Readonly<Record<Norm, readonly number[]>> = {
    ...DEFAULT_RADII,
    linf: parseEpsList(eps ?? preset.eps, 'linf'),
    ...(epsL2 !== undefined && { l2: parseEpsList(epsL2, 'l2') }),
    ...(epsL1 !== undefined && { l1: parseEpsList(epsL1, 'l1') }),
    ...(epsL0 !== undefined && { l0: parseEpsList(epsL0, 'l0') }),
  };
  const bounded = distinct.filter(({ name }) => describeAttack(name).kind === 'bounded');
  const radii = Object.fromEntries(bounded.map(({ norm }) => [norm, known[norm]]));
  return { attacks: distinct, radii, samples: samples ?? preset.samples };
}
