/** @file Every accuracy of an evaluation as one row: for tables, charts and files. */
import { formatAttackSpec, type Norm } from '../../config/index.ts';
import { type Interval, wilsonInterval } from '../wilson.ts';
import { countCorrect, type EvaluationView } from './evaluation-view.ts';

export interface AccuracyRow {
  readonly model: number;
  /** `clean`, `worst-case` or the attack with its settings. */
  readonly attack: string;
  /** Undefined without an attack. */
  readonly norm: Norm | undefined;
  /** 0 without an attack; undefined of minimum-norm attacks. */
  readonly eps: number | undefined;
  /** Of {@link images}. */
  readonly correct: number;
  readonly images: number;
  /** Share of correct images, and its Wilson 95 % interval. */
  readonly accuracy: number;
  readonly interval: Interval;
  /** Undefined for the worst case. */
  readonly cost: { readonly forward: number; readonly gradient: number; readonly seconds: number } | undefined;
}

/** Measured accuracies in the order of the record; incomplete passes are left out. */
export function accuracyRows(view: EvaluationView): readonly AccuracyRow[] {
  const { attacks, results } = view.record;
  return results.flatMap(({ model, attack, eps, correct, queries, seconds }): AccuracyRow[] => {
    const spec = attacks[attack];
    if (!view.complete(correct) || (spec === undefined && attack !== -1)) return [];
    const names = spec === undefined ? { attack: 'clean', norm: undefined } : { attack: formatAttackSpec(spec), norm: spec.norm };
    return [{ model, ...names, eps: spec === undefined ? 0 : (eps ?? undefined), ...rateOf(correct), cost: { ...queries, seconds } }];
  });
}

/** The worst case over all attacks of a norm, at every radius where one was measured. */
export function worstCaseRows(view: EvaluationView): readonly AccuracyRow[] {
  return view.record.models.flatMap((_, model) =>
    view.norms().flatMap((norm) =>
      view.radii(norm).flatMap((eps): AccuracyRow[] => {
        const correct = view.worstCase(model, norm, eps);
        return correct === undefined ? [] : [{ model, attack: 'worst-case', norm, eps, ...rateOf(correct), cost: undefined }];
      }),
    ),
  );
}

/** Share, interval and counts of one string of `1` and `0`. */
export function rateOf(results: string): Pick<AccuracyRow, 'correct' | 'images' | 'accuracy' | 'interval'> {
  const [correct, images] = [countCorrect(results), results.length];
  return { correct, images, accuracy: correct / images, interval: wilsonInterval(correct, images) };
}
