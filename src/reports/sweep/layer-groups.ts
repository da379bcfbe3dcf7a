/** @file Candidates by the layers that are aligned: only the input (First), only feature layers (Deep), or both. */
import type { CandidateRecord, SweepRecord } from '../../sweeps/index.ts';

type Parameters = CandidateRecord['parameters'];

/** Candidates whose parameters fulfil a condition. */
export interface CandidateGroup {
  readonly name: string;
  readonly holds: (parameters: Parameters) => boolean;
}

/** `strategy.gfa.weights.LAYER` */
const LAYER_WEIGHT = /^strategy\.gfa\.weights\.(.+)$/;
/** The layer whose alignment is the paper's First; all others are its feature layers. */
const INPUT_LAYER = 'input';

export function isLayerWeight(parameter: string): boolean {
  return LAYER_WEIGHT.test(parameter);
}

/** Layers with a weight above 0, from the input on as the space lists them. */
export function layersOn(parameters: Parameters): readonly string[] {
  return Object.entries(parameters).flatMap(([name, value]) => {
    const layer = LAYER_WEIGHT.exec(name)?.[1];
    return layer !== undefined && typeof value === 'number' && value > 0 ? [layer] : [];
  });
}

/** The groups by layers; none where the space has no layer weights, or not those of the input and of another layer. */
export function layerGroups({ parameters }: Pick<SweepRecord, 'parameters'>): readonly CandidateGroup[] {
  const layers = parameters.flatMap(({ name }) => LAYER_WEIGHT.exec(name)?.[1] ?? []);
  if (layers.length < 2 || !layers.includes(INPUT_LAYER)) return [];
  const group = (name: string, withInput: boolean, withFeatures: boolean): CandidateGroup => ({
    name,
    holds: (own) => {
      const on = layersOn(own);
      return on.includes(INPUT_LAYER) === withInput && on.some((layer) => layer !== INPUT_LAYER) === withFeatures;
    },
  });
  return [group('First', true, false), group('Deep', false, true), group('both', true, true), group('none', false, false)];
}
