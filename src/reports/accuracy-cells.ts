/** @file Cells and columns of a table of accuracies, the same in HTML and in the terminal. */
import { attackTitle, formatEps, formatPercent } from './format.ts';
import type { EvaluationRecord, RunRecord } from './run-record.ts';
import { wilsonInterval } from './wilson.ts';

/** `71.3 %`, and where the number of samples is known its interval and n. */
export function accuracyText(evaluation: EvaluationRecord): { readonly value: string; readonly detail: string } {
  const { accuracy, samples } = evaluation;
  const value = `${formatPercent(accuracy)} %`;
  if (samples <= 0) return { value, detail: '' };
  const { low, high } = wilsonInterval(accuracy * samples, samples);
  return { value, detail: `${formatPercent(low)}–${formatPercent(high)}, n = ${samples}` };
}

/** Columns of an accuracy table: every (attack, eps) of any run, clean first. */
export function accuracyColumns(
  runs: readonly Pick<RunRecord, 'finalAccuracies'>[],
): readonly { readonly key: string; readonly title: string }[] {
  const columns = new Map<string, string>();
  for (const run of runs)
    for (const evaluation of run.finalAccuracies) {
      const eps = evaluation.attack === 'clean' ? '' : ` ${formatEps(evaluation.epsLinf)}`;
      columns.set(columnKey(evaluation), `${attackTitle(evaluation.attack)}${eps}`);
    }
  return [...columns].map(([key, title]) => ({ key, title }));
}

export function columnKey({ attack, epsLinf }: Pick<EvaluationRecord, 'attack' | 'epsLinf'>): string {
  return `${attack}@${epsLinf}`;
}
