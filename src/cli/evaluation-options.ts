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
import { DeepDefenseError } from '../core/index.ts';

export interface EvaluationWishes {
  readonly suite: SuiteName;
  /** Specs separated by commas, in place of the suite's. */
  readonly attacks?: string;
  /** L-infinity radii, in place of the suite's. */
  readonly eps?: string;
  readonly epsL2?: string;
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
 * @throws DeepDefenseError USAGE for an unknown attack or setting, a bad radius, or a norm without radii.
 */
export function chooseEvaluation({ suite, attacks, eps, epsL2, samples }: EvaluationWishes): EvaluationChoice {
  const preset = EVALUATION_SUITES[suite];
  const texts = attacks === undefined ? preset.attacks : attacks.split(',').map((text) => text.trim());
  const specs = texts.map(parseAttackSpec);
  const distinct = [...new Map(specs.map((spec) => [formatAttackSpec(spec), spec])).values()];
  const known: Partial<Record<Norm, readonly number[]>> = {
    ...DEFAULT_RADII,
    linf: parseEpsList(eps ?? preset.eps, 'linf'),
    ...(epsL2 !== undefined && { l2: parseEpsList(epsL2, 'l2') }),
  };
  const bounded = distinct.filter(({ name }) => describeAttack(name).kind === 'bounded');
  const radii: Partial<Record<Norm, readonly number[]>> = {};
  for (const spec of bounded) {
    const own = known[spec.norm];
    if (own === undefined)
      throw new DeepDefenseError('USAGE', {
        what: `"${formatAttackSpec(spec)}" needs radii of norm ${spec.norm}, which no option gives`,
        expected: `a bounded attack of norm ${Object.keys(known).join(' or ')}`,
        todo: 'leave the attack out',
      });
    radii[spec.norm] = own;
  }
  return { attacks: distinct, radii, samples: samples ?? preset.samples };
}
