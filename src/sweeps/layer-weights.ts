/** @file Vectors of GFA layer weights as coordinates of the unit cube: free, tied, simplex, monotone, sparse, and one-layer ablations. */
import type { LayerWeights } from '../config/index.ts';
import { DeepDefenseError } from '../core/index.ts';
import type { Coordinate } from './point.ts';

/** Config key of the vector; `strategy.gfa.layers` is set with it. */
export const LAYER_WEIGHTS_KEY = 'strategy.gfa.weights';

/** Name of one weight among the parameters of a candidate. */
export function weightName(layer: string): string {
  return `${LAYER_WEIGHTS_KEY}.${layer}`;
}

/** @throws DeepDefenseError CONFIG_INVALID where the vector's settings contradict each other. */
export function layerWeightCoordinates(vector: LayerWeights): readonly Coordinate[] {
  checkVector(vector);
  const { layers, form, points: gridPoints, low, high, log } = vector;
  const weight = (name: string): Coordinate => ({
    kind: 'unit',
    name: `${LAYER_WEIGHTS_KEY}.${name}`,
    gridPoints,
    scale: { low, high, log },
  });
  const share = (name: string): Coordinate => ({ kind: 'unit', name: `${LAYER_WEIGHTS_KEY}.${name}`, gridPoints: undefined });
  switch (form) {
    case 'free':
      return layers.map((layer) => weight(layer));
    case 'tied':
      return (vector.groups ?? []).map((group) => weight(group.join('+')));
    case 'simplex':
      return layers.slice(0, -1).map((layer) => share(layer));
    case 'monotone':
      return layers.map((layer) => share(layer));
    case 'sparse':
      return layers.flatMap((layer): Coordinate[] => [
        { kind: 'choice', name: `${LAYER_WEIGHTS_KEY}.${layer}.on`, choices: 2 },
        weight(layer),
      ]);
    case 'ablation':
      return [{ kind: 'choice', name: `${LAYER_WEIGHTS_KEY}.ablation`, choices: ablations(vector).length }];
    default:
      return form satisfies never;
  }
}

/** One weight per layer, 0 = off; a sentence where the point is not to be tried. */
export function layerWeightsAt(vector: LayerWeights, u: readonly number[]): readonly number[] | string {
  const { layers, form } = vector;
  const at = (i: number) => u[i] as number;
  switch (form) {
    case 'free':
      return layers.map((_, i) => scaled(vector, at(i)));
    case 'tied':
      return layers.map((layer) => scaled(vector, at((vector.groups ?? []).findIndex((group) => group.includes(layer)))));
    case 'simplex':
      return simplex(u);
    case 'monotone':
      return monotone(vector, u);
    case 'sparse': {
      const weights = layers.map((_, i) => (at(2 * i) === 1 ? scaled(vector, at(2 * i + 1)) : 0));
      const on = weights.filter((weight) => weight > 0).length;
      const { minLayers, maxLayers = layers.length } = vector;
      return on < minLayers || on > maxLayers ? `${on} layers are on, not ${minLayers} to ${maxLayers}` : weights;
    }
    case 'ablation':
      return ablations(vector)[at(0)] as readonly number[];
    default:
      return form satisfies never;
  }
}

function scaled({ low, high, log }: LayerWeights, u: number): number {
  return round(log ? low * (high / low) ** u : low + u * (high - low));
}

/** Uniform on the simplex: each share takes its part of what is left (stick-breaking; Devroye 1986, chapter XI.4). */
function simplex(u: readonly number[]): readonly number[] {
  const shares: number[] = [];
  let left = 1;
  for (const [i, value] of u.entries()) {
    const share = left * (1 - (1 - value) ** (1 / (u.length - i)));
    shares.push(round(share));
    left -= share;
  }
  return [...shares, round(Math.max(left, 0))];
}

/** Falling order statistics of as many uniform numbers (Devroye 1986, chapter V.3.1), so that no layer weighs more than one before it. */
function monotone({ low, high }: LayerWeights, u: readonly number[]): readonly number[] {
  let top = 1;
  return u.map((value, i) => {
    top *= value ** (1 / (u.length - i));
    return round(low + top * (high - low));
  });
}

/** `base`, without each layer that it has, and with each of them alone; equal ones once. */
function ablations({ layers, base = layers.map(() => 1) }: LayerWeights): readonly (readonly number[])[] {
  const on = base.flatMap((weight, i) => (weight > 0 ? [i] : []));
  const without = on.map((off) => base.map((weight, i) => (i === off ? 0 : weight)));
  const alone = on.map((only) => base.map((weight, i) => (i === only ? weight : 0)));
  const all = [[...base], ...without, ...alone].filter((weights) => weights.some((weight) => weight > 0));
  return [...new Map(all.map((weights) => [weights.join(), weights])).values()];
}

/** Few digits, as other parameters have. */
function round(value: number): number {
  return Number(value.toPrecision(6));
}

function checkVector({ layers, form, low, high, log, groups, minLayers, maxLayers, base }: LayerWeights): void {
  const fail = (what: string, expected: string, got: string): never => {
    throw new DeepDefenseError('CONFIG_INVALID', {
      what: `space.${LAYER_WEIGHTS_KEY}: ${what}`,
      expected,
      got,
      todo: 'see docs/sweeps.md',
      fields: { path: `space.${LAYER_WEIGHTS_KEY}` },
    });
  };
  const repeated = layers.find((layer, i) => layers.indexOf(layer) !== i);
  if (repeated !== undefined) fail(`layer "${repeated}" is named twice`, 'every layer once', layers.join(', '));
  if (low > high) fail('low is above high', 'low <= high', `low ${low}, high ${high}`);
  if (log && low <= 0) fail('a logarithmic scale has no 0', 'low > 0', `low ${low}`);
  if (log && (form === 'monotone' || form === 'simplex')) fail(`form ${form} has no logarithmic scale`, 'log: false', 'log: true');
  if (form === 'sparse' && low <= 0) fail('a layer that is on needs a weight', 'low > 0', `low ${low}`);
  if (form === 'sparse' && (minLayers > layers.length || (maxLayers ?? layers.length) < minLayers))
    fail('no number of layers fits', `minLayers <= maxLayers <= ${layers.length}`, `${minLayers} and ${maxLayers ?? layers.length}`);
  if (form === 'simplex' && layers.length < 2) fail('one layer alone has no share to choose', 'at least two layers', layers.join(', '));
  if (form === 'ablation' && base?.length !== layers.length)
    fail(
      'an ablation starts from full weights',
      `base: ${layers.length} weights, one per layer`,
      base === undefined ? 'no base' : `${base.length}`,
    );
  if (form === 'ablation' && base?.every((weight) => weight === 0)) fail('base has no layer that is on', 'a weight above 0', 'only 0');
  if (form === 'tied') {
    const named = (groups ?? []).flat();
    if (named.length !== layers.length || layers.some((layer) => !named.includes(layer)))
      fail('groups and layers differ', 'every layer in exactly one group', named.length === 0 ? 'no groups' : named.join(', '));
  }
}
