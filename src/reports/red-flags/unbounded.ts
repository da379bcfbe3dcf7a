/** @file Red flag of minimum-norm attacks: without a bound every image can be changed into one of another class. */
import { describeAttack, formatAttackSpec } from '../../config/index.ts';
import { countCorrect } from '../evaluation/evaluation-view.ts';
import { minimumNormRows } from '../evaluation/minimum-norm.ts';
import { formatPercent } from '../format.ts';
import type { RedFlagRule } from './red-flag.ts';

/**
 * Share of the images that may withstand: one attack alone may stop in front of the boundary (DeepFool leaves 5.9 % of the reference
 * network's images at a tie of two logits, Carlini-Wagner with its default constant 2.3 %), several hardly at the same image.
 */
const ONE_ATTACK = 0.1;
const SEVERAL_ATTACKS = 0.01;

export const unboundedFails: RedFlagRule = {
  id: 'unbounded-fails',
  title: 'Attacks without a bound fail',
  severity: 'alarm',
  threshold:
    'of the images that are correct without an attack, more than 1 % withstand all minimum-norm attacks with gradients in L∞, L2 and L1 together; 10 % when there is but one',
  check: (view, model) => {
    const clean = view.clean(model);
    const rows = minimumNormRows(view).filter(
      ({ model: own, spec }) => own === model && describeAttack(spec.name).sees === 'gradients' && spec.norm !== 'l0',
    );
    if (clean === undefined || rows.length === 0 || countCorrect(clean) === 0) return undefined;
    const withstood = Array.from(clean, (one, image) => one === '1' && rows.every(({ distances }) => distances.l2[image] === null));
    const left = withstood.filter(Boolean).length;
    const shareLeft = left / countCorrect(clean);
    if (shareLeft <= (rows.length === 1 ? ONE_ATTACK : SEVERAL_ATTACKS)) return [];
    const names = rows.map(({ spec }) => formatAttackSpec(spec)).join(', ');
    return [`${left} of ${countCorrect(clean)} images (${formatPercent(shareLeft)} %) withstand ${names}`];
  },
};
