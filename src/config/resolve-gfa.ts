/** @file Fills in the defaults of the GFA regulariser that depend on the strategy and the training loss. */
import { MODELS } from './model-catalogue.ts';
import type { Config, ResolvedGfa } from './schema.ts';

const DEEP_DEFAULTS = { layers: ['conv1', 'conv2', 'conv3'], weights: [0.5, 0.3, 0.2] };
const RESIDUAL_DEEP_LAYERS = ['stem', 'stage1', 'stage2'];
const DEFAULTS: Readonly<Record<Config['strategy']['name'], { layers: string[]; weights: number[] }>> = {
  first: { layers: ['input'], weights: [1] },
  deep: DEEP_DEFAULTS,
  // No regulariser in training; these are the layers that an alignment measurement looks at.
  benchmark: DEEP_DEFAULTS,
  adversarial: DEEP_DEFAULTS,
};

/**
 * The GFA settings of a checked config with nothing left open: layers and weights by strategy (`first` = input, 1; else
 * conv1, conv2, conv3 with 0.5, 0.3, 0.2, and in a residual network stem, stage1, stage2) and, as source of the gradient, the training loss.
 */
export function resolveGfa(config: Config): ResolvedGfa {
  const { gfa, name } = config.strategy;
  const defaults = DEFAULTS[name];
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
