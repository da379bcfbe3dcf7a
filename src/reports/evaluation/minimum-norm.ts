/** @file How far the nearest misclassified image lies, as minimum-norm attacks found it. */
import type { AttackSpec, Distances } from '../../config/index.ts';
import { type Median, medianOf } from '../statistics/median.ts';
import { type EvaluationView } from './evaluation-view.ts';

export const DISTANCES = ['l2', 'linf', 'l1', 'mse', 'l0'] as const satisfies readonly (keyof Distances)[];
export type DistanceName = (typeof DISTANCES)[number];

export interface MinimumNormRow {
  readonly model: number;
  readonly attack: number;
  readonly spec: AttackSpec;
  /** Images that are correct without an attack; all figures of the row are over these. */
  readonly attacked: number;
  /** Those of them for which the attack found a misclassified image. */
  readonly found: number;
  /** Images where it found none count as infinitely far. Undefined when no image is correct without an attack. */
  readonly medians: Readonly<Record<DistanceName, Median>> | undefined;
  readonly distances: Distances;
}

/** A row per network and minimum-norm attack whose results are complete and whose clean accuracy is known; attacks in the order of the record. */
export function minimumNormRows(view: EvaluationView): readonly MinimumNormRow[] {
  const { attacks, results } = view.record;
  return attacks.flatMap((spec, attack) =>
    results.flatMap(({ model, attack: own, correct, distances }): MinimumNormRow[] => {
      const clean = view.clean(model);
      if (own !== attack || distances === undefined || !view.complete(correct) || clean === undefined) return [];
      const valuesOf = (name: DistanceName): number[] =>
        distances[name].filter((_, image) => clean[image] === '1').map((distance) => distance ?? Number.POSITIVE_INFINITY);
      const l2 = valuesOf('l2');
      const medians = l2.length === 0 ? undefined : mapNames((name) => medianOf(valuesOf(name)));
      return [{ model, attack, spec, attacked: l2.length, found: l2.filter(Number.isFinite).length, medians, distances }];
    }),
  );
}

function mapNames(medianOfName: (name: DistanceName) => Median): Record<DistanceName, Median> {
  return Object.fromEntries(DISTANCES.map((name) => [name, medianOfName(name)])) as Record<DistanceName, Median>;
}
