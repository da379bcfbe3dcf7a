/**
 * @file The search space: parameters of a sweep file as coordinates for samplers, and back from a point to keys of the training config.
 * Pure: a point means the same on every machine.
 */
import { nearestName, type SpaceParameter, type SweepConfig } from '../config/index.ts';
import { DeepDefenseError } from '../core/index.ts';
import { LAYER_WEIGHTS_KEY, layerWeightCoordinates, layerWeightsAt, weightName } from './layer-weights.ts';
import type { Coordinate, Point } from './point.ts';
import type { ParameterValue, SweepRecord } from './sweep-record.ts';

/** What a point stands for. */
export interface Decoded {
  /** Keys of the training config and their values, in the order of the space. */
  readonly assignments: readonly { readonly path: string; readonly value: unknown }[];
  /** The same for people and statistics: see CandidateRecord.parameters. */
  readonly parameters: Readonly<Record<string, ParameterValue>>;
}

/** A point that isn't to be tried, and why. */
export interface Refused {
  readonly refused: string;
}

/** Significant digits of drawn values: enough for any hyperparameter, and short in print. */
const DIGITS = 6;

interface Entry {
  readonly key: string;
  readonly parameter: SpaceParameter;
  /** Its coordinates are those from here on. */
  readonly first: number;
  readonly count: number;
}

export class SearchSpace {
  readonly coordinates: readonly Coordinate[];
  readonly #entries: readonly Entry[];
  readonly #constraints: SweepConfig['constraints'];

  /** @throws DeepDefenseError CONFIG_INVALID */
  constructor({ space, constraints }: Pick<SweepConfig, 'space' | 'constraints'>) {
    const coordinates: Coordinate[] = [];
    this.#entries = Object.entries(space).map(([key, parameter]) => {
      checkParameter(key, parameter);
      const first = coordinates.length;
      coordinates.push(...coordinatesOf(key, parameter));
      return { key, parameter, first, count: coordinates.length - first };
    });
    if (coordinates.length === 0) {
      throw invalid('space', 'the space has nothing to vary', 'at least one parameter', 'no parameter', 'add one below "space"');
    }
    this.coordinates = coordinates;
    this.#constraints = constraints;
    this.#checkConditions();
    this.#checkConstraints();
  }

  /** Names that parameters can have in {@link Decoded.parameters}, with how they are drawn. */
  describe(): SweepRecord['parameters'] {
    return this.#entries.flatMap(({ key, parameter }): SweepRecord['parameters'][number][] => {
      switch (parameter.type) {
        case 'float':
        case 'log-float':
        case 'int': {
          const log = parameter.type === 'log-float' || (parameter.type === 'int' && parameter.log);
          return [{ name: key, scale: log ? 'log' : 'linear', low: parameter.low, high: parameter.high }];
        }
        case 'category':
          return [{ name: key, scale: 'category' }];
        case 'layer-weights':
          return parameter.layers.map((layer) => ({
            name: weightName(layer),
            scale: 'linear',
            low: 0,
            high: parameter.form === 'ablation' ? Math.max(...(parameter.base ?? [1])) : parameter.form === 'simplex' ? 1 : parameter.high,
          }));
        default:
          return parameter satisfies never;
      }
    });
  }

  /** What a point stands for; {@link Refused} where a constraint excludes it. */
  decode(point: Point): Decoded | Refused {
    const assignments: { path: string; value: unknown }[] = [];
    const parameters: Record<string, ParameterValue> = {};
    for (const { key, parameter, first, count } of this.#entries) {
      if (!isActive(parameter, parameters)) continue;
      const values = point.slice(first, first + count);
      if (parameter.type === 'layer-weights') {
        const weights = layerWeightsAt(parameter, values);
        if (typeof weights === 'string') return { refused: weights };
        const on = parameter.layers.flatMap((layer, i) => ((weights[i] as number) > 0 ? [{ layer, weight: weights[i] as number }] : []));
        if (on.length === 0) return { refused: 'all layer weights are 0' };
        assignments.push(
          { path: 'strategy.gfa.layers', value: on.map(({ layer }) => layer) },
          { path: LAYER_WEIGHTS_KEY, value: on.map(({ weight }) => weight) },
        );
        for (const [i, layer] of parameter.layers.entries()) parameters[weightName(layer)] = weights[i] as number;
      } else {
        const value = valueAt(parameter, values[0] as number);
        assignments.push({ path: key, value });
        parameters[key] = value;
      }
    }
    for (const constraint of this.#constraints) {
      const refused = violated(constraint, parameters);
      if (refused !== undefined) return { refused };
    }
    return { assignments, parameters };
  }

  #checkConditions(): void {
    for (const [index, { key, parameter }] of this.#entries.entries()) {
      for (const other of Object.keys(parameter.when ?? {})) {
        const earlier = this.#entries.slice(0, index).map((entry) => entry.key);
        if (earlier.includes(other)) continue;
        const nearest = nearestName(other, earlier);
        throw invalid(
          `space.${key}.when`,
          `space.${key}.when names "${other}"`,
          earlier.length === 0 ? 'a parameter above it' : `one of the parameters above it: ${earlier.join(', ')}`,
          `"${other}"`,
          nearest === undefined ? 'move that parameter up, or leave the condition out' : `did you mean "${nearest}"?`,
        );
      }
    }
  }

  #checkConstraints(): void {
    const known = new Set([...this.describe().map(({ name }) => name), ...this.#entries.map(({ key }) => key)]);
    for (const [index, { sum, min, max }] of this.#constraints.entries()) {
      const path = `constraints.${index}`;
      const unknown = sum.find((name) => !known.has(name));
      if (unknown !== undefined) {
        const nearest = nearestName(unknown, [...known]);
        throw invalid(
          `${path}.sum`,
          `${path}.sum names "${unknown}"`,
          `parameters of the space: ${[...known].join(', ')}`,
          `"${unknown}"`,
          nearest === undefined ? 'leave it out' : `did you mean "${nearest}"?`,
        );
      }
      if (min === undefined && max === undefined)
        throw invalid(path, `${path} limits nothing`, '"min", "max" or both', 'neither', 'add one');
    }
  }
}

function coordinatesOf(key: string, parameter: SpaceParameter): readonly Coordinate[] {
  switch (parameter.type) {
    case 'category':
      return [{ kind: 'choice', name: key, choices: parameter.values.length }];
    case 'layer-weights':
      return layerWeightCoordinates(parameter);
    case 'float': {
      const { points, step, low, high } = parameter;
      const gridPoints = points ?? (step === undefined ? undefined : steps(parameter));
      return [{ kind: 'unit', name: key, gridPoints, scale: { low, high, log: false } }];
    }
    case 'int': {
      const { low, high, log, points } = parameter;
      const gridPoints = points ?? (log ? undefined : high - low + 1);
      return [{ kind: 'unit', name: key, gridPoints, scale: { low, high: high + 1, log } }];
    }
    case 'log-float':
      return [{ kind: 'unit', name: key, gridPoints: parameter.points, scale: { low: parameter.low, high: parameter.high, log: true } }];
    default:
      return parameter satisfies never;
  }
}

/** The value of a parameter with one coordinate; `u` in [0, 1), or the index of a category. */
function valueAt(parameter: Exclude<SpaceParameter, { type: 'layer-weights' }>, u: number): ParameterValue {
  switch (parameter.type) {
    case 'category':
      return parameter.values[u] as ParameterValue;
    case 'float': {
      const { low, high, step } = parameter;
      return tidy(step === undefined ? low + u * (high - low) : low + Math.floor(u * steps(parameter)) * step);
    }
    case 'log-float':
      return tidy(parameter.low * (parameter.high / parameter.low) ** u);
    case 'int': {
      const { low, high, log } = parameter;
      const value = log ? Math.floor(low * ((high + 1) / low) ** u) : low + Math.floor(u * (high - low + 1));
      return Math.min(value, high);
    }
    default:
      return parameter satisfies never;
  }
}

/** Allowed values of a float with a step. */
function steps({ low, high, step = 1 }: { readonly low: number; readonly high: number; readonly step?: number | undefined }): number {
  return Math.floor((high - low) / step + 1e-9) + 1;
}

/** A number with few digits. */
export function tidy(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

function isActive({ when }: SpaceParameter, parameters: Readonly<Record<string, ParameterValue>>): boolean {
  return Object.entries(when ?? {}).every(([name, values]) => (values as readonly unknown[]).includes(parameters[name]));
}

function violated(
  { sum, min, max }: SweepConfig['constraints'][number],
  parameters: Readonly<Record<string, ParameterValue>>,
): string | undefined {
  let total = 0;
  for (const name of sum)
    for (const [key, value] of Object.entries(parameters))
      if (typeof value === 'number' && (key === name || key.startsWith(`${name}.`))) total += value;
  // A grid's sums are often exactly at the limit but for rounding.
  const slack = 1e-9 * Math.max(1, Math.abs(total));
  if (min !== undefined && total < min - slack) return `${sum.join(' + ')} is ${tidy(total)}, below ${min}`;
  if (max !== undefined && total > max + slack) return `${sum.join(' + ')} is ${tidy(total)}, above ${max}`;
  return undefined;
}

function checkParameter(key: string, parameter: SpaceParameter): void {
  const path = `space.${key}`;
  if (parameter.type === 'layer-weights' && key !== LAYER_WEIGHTS_KEY) {
    throw invalid(path, `${path} is a vector of layer weights`, `the key ${LAYER_WEIGHTS_KEY}`, `"${key}"`, 'rename the parameter');
  }
  if (parameter.type === 'category' || parameter.type === 'layer-weights') return;
  if (parameter.low > parameter.high) {
    throw invalid(path, `${path}: low is above high`, 'low <= high', `low ${parameter.low}, high ${parameter.high}`, 'swap them');
  }
  if (parameter.type === 'int' && parameter.log && parameter.low < 1) {
    throw invalid(path, `${path} has a logarithmic scale`, 'low >= 1', `low ${parameter.low}`, 'raise low, or leave "log" out');
  }
}

export function invalid(path: string, what: string, expected: string, got: string, todo: string): DeepDefenseError {
  return new DeepDefenseError('CONFIG_INVALID', { what, expected, got, todo, fields: { path } });
}
