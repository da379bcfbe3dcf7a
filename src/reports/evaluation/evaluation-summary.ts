/** @file An evaluation in a terminal: accuracies, distances and red flags. */
import Table from 'cli-table3';
import { type EvaluationRecord, formatAttackSpec } from '../../config/index.ts';
import { formatPercent } from '../format.ts';
import { type RedFlagReport, redFlags } from '../red-flags/index.ts';
import { radius } from '../red-flags/thresholds.ts';
import { type AccuracyRow, accuracyRows, worstCaseRows } from './accuracy-rows.ts';
import { passesDone } from './completeness.ts';
import { distanceText } from './cells.ts';
import { EvaluationView } from './evaluation-view.ts';
import { minimumNormRows } from './minimum-norm.ts';

/** Tables and lines of plain text without colours; the caller prints it. */
export function evaluationSummary(record: EvaluationRecord): string {
  const view = new EvaluationView(record);
  const parts = [accuracyTable(view), minimumNormTable(view), denominator(view), flagLines(view, redFlags(view))];
  return parts.filter((part) => part !== '').join('\n');
}

function networkTable(head: readonly string[], view: EvaluationView): InstanceType<typeof Table> {
  return new Table({
    head: [...head, ...view.record.models.map(({ label }) => label)],
    colAligns: [
      ...head.map((_, index) => (index === 0 ? ('left' as const) : ('right' as const))),
      ...view.record.models.map(() => 'right' as const),
    ],
    style: { head: [], border: [] },
  });
}

/** A row per attack and radius, a column per network: accuracy with its Wilson 95 % interval. */
function accuracyTable(view: EvaluationView): string {
  const table = networkTable(['accuracy in %', 'radius'], view);
  const rows = [...accuracyRows(view).filter(({ eps }) => eps !== undefined), ...worstCaseRows(view)];
  const groups = new Map<string, AccuracyRow[]>();
  for (const row of rows) {
    const key = `${row.attack}/${row.norm}/${row.eps}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  for (const group of groups.values()) {
    const { attack, norm, eps = 0 } = group[0] as AccuracyRow;
    const cells = view.record.models.map((_, model) => {
      const row = group.find((one) => one.model === model);
      return row === undefined
        ? '-'
        : `${formatPercent(row.accuracy)} (${formatPercent(row.interval.low)}–${formatPercent(row.interval.high)})`;
    });
    table.push([attack, norm === undefined ? '' : radius(norm, eps), ...cells]);
  }
  return table.toString();
}

function minimumNormTable(view: EvaluationView): string {
  const rows = minimumNormRows(view);
  if (rows.length === 0) return '';
  const table = networkTable(['median distance', 'norm'], view);
  for (const attack of new Set(rows.map((row) => row.attack))) {
    const own = rows.filter((row) => row.attack === attack);
    const spec = view.record.attacks[attack];
    if (spec === undefined) continue;
    const cells = view.record.models.map((_, model) => {
      const row = own.find((one) => one.model === model);
      if (row?.medians === undefined) return '-';
      return `${distanceText(row.medians[spec.norm].median)}, ${row.found} of ${row.attacked}`;
    });
    table.push([formatAttackSpec(spec), spec.norm, ...cells]);
  }
  return `${table.toString()}\nmedians over the images that are correct without an attack; n of m: misclassified images found`;
}

function denominator(view: EvaluationView): string {
  const which = view.record.onlyCorrectByAll
    ? ', only those that all networks classify correctly: accuracies say nothing about clean errors'
    : '';
  const { done, all } = passesDone(view);
  const missing = done === all ? '' : `\nnot complete: ${done} of ${all} passes are done`;
  return `shares of ${view.count} test images${which}; in brackets Wilson 95 % intervals${missing}`;
}

function flagLines(view: EvaluationView, { raised, unchecked }: RedFlagReport): string {
  const lines = raised.flatMap(({ rule, model, evidence }) =>
    evidence.map((sentence) => `  ${rule.severity} ${rule.id}: ${view.label(model)}: ${sentence}`),
  );
  const count = raised.length === 0 ? 'no red flags' : `${raised.length} red flag${raised.length === 1 ? '' : 's'}; see docs/red-flags.md`;
  const skipped =
    unchecked.length === 0 ? [] : [`  not checked for lack of measurements: ${unchecked.map(({ rule }) => rule.id).join(', ')}`];
  return [count, ...lines, ...skipped].join('\n');
}
