/** @file An evaluation as tables for other programs (RFC 4180): one row per figure, numbers with all their digits. */
import { formatAttackSpec } from '../../config/index.ts';
import { accuracyRows, worstCaseRows } from './accuracy-rows.ts';
import type { EvaluationView } from './evaluation-view.ts';
import { DISTANCES } from './minimum-norm.ts';

type Cell = string | number | undefined;

function csv(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [head, ...rows].map((row) => `${row.map(cellText).join(',')}\r\n`).join('');
}

function cellText(cell: Cell): string {
  if (cell === undefined) return '';
  const text = String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * One row per network, attack and radius, then the worst cases. Accuracy and the ends of its Wilson 95 % interval are shares of `images`;
 * eps is in [0,1] pixel units, empty for minimum-norm attacks.
 */
export function accuracyCsv(view: EvaluationView): string {
  const head = ['network', 'attack', 'norm', 'eps', 'accuracy', 'low95', 'high95', 'correct', 'images', 'forward', 'gradient', 'seconds'];
  const rows = [...accuracyRows(view), ...worstCaseRows(view)].map(
    ({ model, attack, norm, eps, accuracy, interval, correct, images, cost }) => [
      view.label(model),
      attack,
      norm,
      eps,
      accuracy,
      interval.low,
      interval.high,
      correct,
      images,
      cost?.forward,
      cost?.gradient,
      cost?.seconds,
    ],
  );
  return csv(head, rows);
}

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
    return images.index.map((index, image): Cell[] => [
      view.label(model),
      formatAttackSpec(spec),
      index,
      images.label[image],
      clean?.[image],
      ...DISTANCES.map((name) => distances[name][image] ?? undefined),
    ]);
  });
  return csv(['network', 'attack', 'image', 'label', 'clean', ...DISTANCES], rows);
}
