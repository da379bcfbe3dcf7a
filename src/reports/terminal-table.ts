/** @file The result table that a terminal shows. */
import Table from 'cli-table3';
import { accuracyColumns, accuracyText, columnKey } from './accuracy-cells.ts';
import { formatNumber, formatSeconds } from './format.ts';
import { runTitles } from './run-charts.ts';
import type { RunRecord } from './run-record.ts';

/** One row per run: accuracies with Wilson 95 % intervals, steps, time and speed. No colours; the caller prints it. */
export function formatTable(runs: readonly RunRecord[]): string {
  const columns = accuracyColumns(runs);
  const titles = runTitles(runs);
  const table = new Table({
    head: ['strategy', ...columns.map(({ title }) => title), 'steps', 'time', 'samples/s'],
    colAligns: ['left', ...columns.map(() => 'right' as const), 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  runs.forEach((run, index) => {
    const accuracies = columns.map(({ key }) => {
      const evaluation = run.finalAccuracies.find((one) => columnKey(one) === key);
      if (evaluation === undefined) return '-';
      const { value, detail } = accuracyText(evaluation);
      return detail === '' ? value : `${value}\n${detail.replace(', n = ', '\nn = ')}`;
    });
    table.push([
      titles[index],
      ...accuracies,
      String(run.steps),
      run.seconds === undefined ? '-' : formatSeconds(run.seconds),
      run.samplesPerSecond === undefined ? '-' : formatNumber(run.samplesPerSecond),
    ]);
  });
  return table.toString();
}
