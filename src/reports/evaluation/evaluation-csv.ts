/** @file An evaluation as a table for other programs: one row per network, attack and radius. */
import { type EvaluationRecord, formatAttackSpec } from '../../config/index.ts';
import { wilsonInterval } from '../wilson.ts';
import { csvText } from './csv-text.ts';
import { countCorrect, EvaluationView } from './evaluation-view.ts';
import { minimumNormRows } from './minimum-norm.ts';

const COLUMNS = [
  'network',
  'strategy',
  'weights_sha256',
  'attack',
  'norm',
  'eps',
  'images',
  'correct',
  'accuracy',
  'low95',
  'high95',
  'median_l2',
  'median_linf',
  'median_l1',
  'median_l0_pixels',
  'queries_forward',
  'queries_gradient',
  'seconds',
] as const;

/** RFC 4180 with a heading. Accuracies are shares of all images; distances are those of minimum-norm attacks. Worst cases have no queries. */
export function evaluationCsv(record: EvaluationRecord): string {
  const view = new EvaluationView(record);
  const medians = minimumNormRows(view);
  const rows: (string | number)[][] = record.results
    .filter(({ correct }) => view.complete(correct))
    .map(({ model, attack, eps, correct, queries, seconds }) => {
      const spec = record.attacks[attack];
      const distances = medians.find((row) => row.model === model && row.attack === attack)?.medians;
      return [
        ...networkCells(record, model),
        spec === undefined ? 'clean' : formatAttackSpec(spec),
        spec?.norm ?? '',
        eps ?? '',
        ...accuracyCells(correct),
        ...(['l2', 'linf', 'l1', 'l0'] as const).map((name) => distances?.[name].median ?? ''),
        queries.forward,
        queries.gradient,
        seconds,
      ];
    });
  for (const model of record.models.keys())
    for (const norm of view.norms())
      for (const eps of view.radii(norm)) {
        const correct = view.worstCase(model, norm, eps);
        if (correct !== undefined)
          rows.push([...networkCells(record, model), 'worst-case', norm, eps, ...accuracyCells(correct), '', '', '', '', '', '', '']);
      }
  return csvText([COLUMNS, ...rows]);
}

function networkCells(record: EvaluationRecord, model: number): string[] {
  const { label = '', strategy = '', weightsSha256 = '' } = record.models[model] ?? {};
  return [label, strategy, weightsSha256];
}

function accuracyCells(correct: string): number[] {
  const count = countCorrect(correct);
  const { low, high } = wilsonInterval(count, correct.length);
  return [correct.length, count, count / correct.length, low, high];
}
