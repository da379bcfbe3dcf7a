/** @file An objective over two parameters: the mean of the candidates in each bin, as a shaded table. */
import type { ObjectiveRecord, SweepRecord } from '../../sweeps/index.ts';
import { table } from '../evaluation/cells.ts';
import { type Html, html } from '../html.ts';
import { ATOM } from '../statistics/functional-anova.ts';
import { completeResults } from './candidate-result.ts';
import { type ParameterColumn, parameterColumns, parameterText } from './parameter-columns.ts';
import type { Sensitivity } from './sensitivity.ts';
import { shortNames, valueText } from './sweep-text.ts';

/** Bins of a number, equally wide on its scale; a parameter that is off has a bin of its own, and so has every category. */
const BINS = 4;

interface Binning {
  readonly labels: readonly string[];
  /** Bin of each candidate. */
  readonly bins: readonly number[];
}

/** Rows are bins of the first parameter, columns of the second. */
export function heatMap(record: SweepRecord, { objective, rung }: Sensitivity, first: string, second: string): Html {
  const results = completeResults(record, rung);
  const columns = parameterColumns(
    record,
    results.map(({ candidate }) => candidate),
  );
  const binningOf = (name: string): Binning => {
    const column = columns.find((one) => one.name === name) as ParameterColumn;
    return binning(
      record,
      column,
      results.map(({ candidate }) => parameterText(candidate.parameters[name])),
    );
  };
  const [rows, cols] = [binningOf(first), binningOf(second)];
  const goal = record.objectives[objective] as ObjectiveRecord;
  const means = results.map(({ estimates }) => estimates[objective]?.mean as number);
  const cells = rows.labels.map((_, row) =>
    cols.labels.map((_, col) => means.filter((_, index) => rows.bins[index] === row && cols.bins[index] === col)),
  );
  const averages = cells.flat().flatMap((own) => (own.length === 0 ? [] : [average(own)]));
  const [low, high] = [Math.min(...averages), Math.max(...averages)];
  const [firstName = first, secondName = second] = shortNames([first, second]);
  const body = cells.map(
    (line, row) => html`<tr><th scope="row">${rows.labels[row] ?? ''}</th>${line.map((own) => cell(own, goal, low, high))}</tr>`,
  );
  return html`<figure class="heat"><h3>${goal.name} over ${firstName} and ${secondName}</h3>${table([`${firstName} \\ ${secondName}`, ...cols.labels], body)}
<figcaption>Mean over the n candidates of a bin, rung ${rung}; stronger colour = ${goal.goal === 'maximize' ? 'larger' : 'smaller'}, which is better. Other parameters differ within a bin; bins of few candidates say little.</figcaption></figure>`;
}

function cell(own: readonly number[], objective: ObjectiveRecord, low: number, high: number): Html {
  if (own.length === 0) return html`<td class="number">–</td>`;
  const mean = average(own);
  const place = high > low ? (mean - low) / (high - low) : 0;
  const strength = Math.round(45 * (objective.goal === 'maximize' ? place : 1 - place));
  return html`<td class="number" style="background:color-mix(in srgb, var(--s2) ${strength}%, transparent)">${valueText(objective, mean)}<span class="detail">n = ${own.length}</span></td>`;
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function binning(record: SweepRecord, { name, feature, values }: ParameterColumn, texts: readonly string[]): Binning {
  if (feature.kind === 'category') {
    const labels = Array.from({ length: feature.size }, (_, key) => texts[values.indexOf(key)] ?? '');
    return { labels, bins: [...values] };
  }
  const { scale, low = 0, high = 1 } = limits(record, name);
  const at = (place: number): string =>
    parameterText(Number((scale === 'log' ? low * (high / low) ** place : low + place * (high - low)).toPrecision(2)));
  const ranges = Array.from({ length: BINS }, (_, bin) => `${at(bin / BINS)}–${at((bin + 1) / BINS)}`);
  const off = values.includes(ATOM) ? 1 : 0;
  return {
    labels: off === 1 ? ['off', ...ranges] : ranges,
    bins: Array.from(values, (place) => (place === ATOM ? 0 : off + Math.min(BINS - 1, Math.floor(place * BINS)))),
  };
}

/** As declared, or as tried where the space names no limits. */
function limits(
  { parameters, candidates }: SweepRecord,
  name: string,
): { readonly scale: string; readonly low?: number; readonly high?: number } {
  const declared = parameters.find((one) => one.name === name);
  const tried = candidates.map((candidate) => candidate.parameters[name]).filter((value) => typeof value === 'number');
  return { low: Math.min(...tried), high: Math.max(...tried), scale: 'linear', ...declared };
}
