/** @file Parameters of candidates as columns of numbers for a surrogate, and how each is spread over the space. */
import type { CandidateRecord, ParameterValue, SweepRecord } from '../../sweeps/index.ts';
import { ATOM, type Measure } from '../statistics/functional-anova.ts';
import type { Feature } from '../statistics/regression-tree.ts';
import { isLayerWeight } from './layer-groups.ts';

export interface ParameterColumn {
  readonly name: string;
  readonly feature: Feature;
  /** One per candidate: a number's place between its limits on its scale, {@link ATOM} where it is off; the index of a category. */
  readonly values: Float64Array;
  readonly measure: Measure;
}

type Declared = SweepRecord['parameters'][number];

/** One column per parameter that isn't the same in all candidates, in the order of the space. */
export function parameterColumns(
  { parameters }: Pick<SweepRecord, 'parameters'>,
  candidates: readonly CandidateRecord[],
): readonly ParameterColumn[] {
  return parameters.flatMap((declared) => {
    const own = candidates.map((candidate) => candidate.parameters[declared.name]);
    if (new Set(own.map((value) => JSON.stringify(value))).size < 2) return [];
    const numbers = declared.scale !== 'category' && own.every((value) => value === undefined || typeof value === 'number');
    return [numbers ? numericColumn(declared, own as readonly (number | undefined)[]) : categoryColumn(declared.name, own)];
  });
}

/**
 * A parameter is off where a condition leaves it out, and a layer where its weight is 0. That is a state of its own, with the share of
 * candidates that have it; over the rest of its range a number counts as uniform on its scale.
 */
function numericColumn(declared: Declared, values: readonly (number | undefined)[]): ParameterColumn {
  const { name, scale } = declared;
  const isOff = (value: number | undefined): value is undefined =>
    value === undefined || (value === 0 && isLayerWeight(name)) || (scale === 'log' && value <= 0);
  const on = values.filter((value): value is number => !isOff(value));
  const [low, high] = [declared.low ?? Math.min(...on), declared.high ?? Math.max(...on)];
  const place = unitScale(scale === 'log' && low > 0 ? 'log' : 'linear', low, high);
  return {
    name,
    feature: { kind: 'numeric' },
    values: Float64Array.from(values, (value) => (isOff(value) ? ATOM : place(value))),
    measure: { kind: 'numeric', atom: values.filter(isOff).length / values.length },
  };
}

/** From a value to its place in [0, 1] between the limits. */
export function unitScale(scale: 'linear' | 'log', low: number, high: number): (value: number) => number {
  const bend = scale === 'log' ? Math.log : (value: number) => value;
  return (value) => (high > low ? Math.min(1, Math.max(0, (bend(value) - bend(low)) / (bend(high) - bend(low)))) : 0.5);
}

/** Categories count as equally likely, those that were tried. */
function categoryColumn(name: string, values: readonly (ParameterValue | undefined)[]): ParameterColumn {
  const keys = values.map(parameterText);
  const known = [...new Set(keys)].sort();
  return {
    name,
    feature: { kind: 'category', size: known.length },
    values: Float64Array.from(keys, (key) => known.indexOf(key)),
    measure: { kind: 'category', weights: known.map(() => 1 / known.length) },
  };
}

/** A value as it is written in tables: numbers with four significant digits, `off` where there is none. */
export function parameterText(value: ParameterValue | undefined): string {
  if (value === undefined) return 'off';
  if (typeof value === 'number') return String(Number(value.toPrecision(4)));
  return typeof value === 'object' ? value.map(parameterText).join(' ') : String(value);
}
