/** @file Which differences between networks are more than the choice of images: McNemar's exact test for each pair. */
import type { Norm } from '../../config/index.ts';
import { holm, mcnemarExact, pairedCounts } from '../statistics/mcnemar.ts';
import type { EvaluationView } from './evaluation-view.ts';

export interface PairTest {
  /** Undefined = without an attack; else the worst case over all attacks of the norm. */
  readonly norm: Norm | undefined;
  /** Radius; 0 without an attack. */
  readonly eps: number;
  readonly first: number;
  readonly second: number;
  /** Images that only the first, or only the second, gets right. */
  readonly onlyFirst: number;
  readonly onlySecond: number;
  readonly p: number;
  /** After Holm's correction over the pairs of networks at this radius. */
  readonly adjusted: number;
}

/** All pairs, without an attack and in the worst case at every radius that was measured for both. */
export function pairTests(view: EvaluationView): readonly PairTest[] {
  const conditions: { norm: Norm | undefined; eps: number }[] = [{ norm: undefined, eps: 0 }];
  for (const norm of view.norms()) for (const eps of view.radii(norm)) conditions.push({ norm, eps });
  return conditions.flatMap(({ norm, eps }) => {
    const results = view.record.models.map((_, model) => (norm === undefined ? view.clean(model) : view.worstCase(model, norm, eps)));
    const tests = results.flatMap((one, first) =>
      results.flatMap((other, second) => {
        if (second <= first || one === undefined || other === undefined) return [];
        const counts = pairedCounts(one, other);
        return [{ norm, eps, first, second, ...counts, p: mcnemarExact(counts) }];
      }),
    );
    const adjusted = holm(tests.map(({ p }) => p));
    return tests.map((test, index) => ({ ...test, adjusted: adjusted[index] as number }));
  });
}
