/** @file The distances of single images as a table for other programs (RFC 4180). */
import { formatAttackSpec } from '../../config/index.ts';
import { csvText } from './csv-text.ts';
import type { EvaluationView } from './evaluation-view.ts';
import { DISTANCES } from './minimum-norm.ts';

/**
 * One row per network, minimum-norm attack and image. Distances are empty where the attack found no misclassified image, 0 where the image
 * is misclassified as it is; `clean` is 1 when it is not.
 */
export function distanceCsv(view: EvaluationView): string {
  const { attacks, images, results } = view.record;
  const rows = results.flatMap(({ model, attack, correct, distances }) => {
    const spec = attacks[attack];
    if (spec === undefined || distances === undefined || !view.complete(correct)) return [];
    const clean = view.clean(model);
    return images.index.map((index, image): (string | number)[] => [
      view.label(model),
      formatAttackSpec(spec),
      index,
      images.label[image] ?? '',
      clean?.[image] ?? '',
      ...DISTANCES.map((name) => distances[name][image] ?? ''),
    ]);
  });
  return csvText([['network', 'attack', 'image', 'label', 'clean', ...DISTANCES], ...rows]);
}
