/** @file Fills in the defaults of the GFA regulariser that depend on the strategy and the training loss. */
import { MODELS } from './model-catalogue.ts';
import type { Config, ResolvedGfa } from './schema.ts';

const DEEP_DEFAULTS = { layers: ['conv1', 'conv2', 'conv3'], weights: [0.5, 0.3, 0.2] };
const RESIDUAL_DEEP_LAYERS = ['stem', 'stage1', 'stage2'];
const INPUT_DEFAULTS = { layers: ['input'], weights: [1] };
/** Strategies that aren't here have no regulariser with layers; an alignment measurement looks at the layers of `deep`. */
const DEFAULTS: Readonly<Partial<Record<Config['strategy']['name'], { layers: string[]; weights: number[] }>>> = {
  first: INPUT_DEFAULTS,
  gaie: INPUT_DEFAULTS,
};

/**
 * The GFA settings of a checked config with nothing left open: layers and weights by strategy (`first` and `gaie` = input, 1; else
 * conv1, conv2, conv3 with 0.5, 0.3, 0.2, and in a residual network stem, stage1, stage2) and, as source of the gradient, the training loss.
 */
export function resolveGfa(config: Config): ResolvedGfa {
  const { gfa, name } = config.strategy;
  const defaults = DEFAULTS[name] ?? DEEP_DEFAULTS;
  const residual = MODELS[config.model.name].kind === 'residual';
  return {
    alignment: gfa.alignment,
    gradientOf: gfa.gradientOf ?? config.objective.loss,
    layers: gfa.layers ?? (residual && defaults === DEEP_DEFAULTS ? RESIDUAL_DEEP_LAYERS : defaults.layers),
    weights: gfa.weights ?? defaults.weights,
    strength: gfa.strength,
    warmup: gfa.warmup,
  };
}
