/** @file How figures of a sweep are written, the same in HTML and in the terminal. */
import type { CandidateRecord, ObjectiveRecord, SweepRecord } from '../../sweeps/index.ts';
import { formatNumber, formatPercent } from '../format.ts';
import type { MeanEstimate } from '../statistics/student-t.ts';
import type { Interval } from '../wilson.ts';
import { parameterText } from './parameter-columns.ts';

/** A value with its unit: `71.3 %`, `4.2 million passes`, `0.07`. */
export function valueText({ unit }: ObjectiveRecord, value: number): string {
  if (unit === 'share') return `${formatPercent(value)} %`;
  return unit === '' ? formatNumber(value) : `${formatNumber(value)} ${unit}`;
}

/** Without the unit, as inside intervals. */
function plainText({ unit }: ObjectiveRecord, value: number): string {
  return unit === 'share' ? formatPercent(value) : formatNumber(value);
}

export function intervalText(objective: ObjectiveRecord, { low, high }: Interval): string {
  return `${plainText(objective, low)} to ${plainText(objective, high)}`;
}

/** `71.3 %`, and `70.1 to 72.5, SD 0.5, n = 3`; with one seed it says that there is no interval. */
export function estimateText(
  objective: ObjectiveRecord,
  { mean, sd, n, interval }: MeanEstimate,
): { readonly value: string; readonly detail: string } {
  const value = valueText(objective, mean);
  if (sd === undefined || interval === undefined) return { value, detail: `n = ${n}, no interval` };
  return { value, detail: `${intervalText(objective, interval)}, SD ${plainText(objective, sd)}, n = ${n}` };
}

/** A difference with its sign; of shares in percentage points. */
export function differenceText(objective: ObjectiveRecord, value: number): string {
  const text = plainText(objective, Math.abs(value));
  const sign = Number(text) === 0 ? '±' : value > 0 ? '+' : '-';
  return `${sign}${text}${objective.unit === 'share' ? ' points' : objective.unit === '' ? '' : ` ${objective.unit}`}`;
}

/** The name, and an arrow to where better is. */
export function objectiveTitle({ name, goal }: ObjectiveRecord): string {
  return `${name} ${goal === 'maximize' ? '↑' : '↓'}`;
}

/** Names cut to their last parts as far as they stay different: `weights.input`, `strength`. */
export function shortNames(names: readonly string[]): readonly string[] {
  return names.map((name) => {
    const parts = name.split('.');
    for (let count = 1; count < parts.length; count++) {
      const end = parts.slice(-count).join('.');
      if (names.every((other) => other === name || !(other === end || other.endsWith(`.${end}`)))) return end;
    }
    return name;
  });
}

/** Writes parameters as `strength = 3.2, weights.input = 0.5`: only those that aren't the same in all candidates. */
export function parameterWriter(record: SweepRecord): (candidate: CandidateRecord) => string {
  const names = varyingParameters(record);
  const short = shortNames(names);
  return ({ parameters }) => names.map((name, index) => `${short[index]} = ${parameterText(parameters[name])}`).join(', ');
}

/** Names of the parameters that were varied, in the order of the space. */
function varyingParameters({ parameters, candidates }: SweepRecord): readonly string[] {
  return parameters
    .map(({ name }) => name)
    .filter((name) => new Set(candidates.map((one) => JSON.stringify(one.parameters[name]))).size > 1);
}
