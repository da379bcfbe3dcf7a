/** @file Initial parameters from a seed; plain arithmetic, so equal on every engine and machine. */
import { type Config, MODELS, type ModelName } from '../config/index.ts';
import { Random } from '../core/index.ts';
import { parameterCount } from './parameters.ts';

export type Initialisation = Config['model']['initialisation'];

/**
 * Weights by layer, biases 0, as one flat vector in the order of `parameterSpecs(model)`.
 * - `he`: normal, standard deviation sqrt(2 / fanIn) (He et al. 2015, 1502.01852, eq. 10)
 * - `glorot`: uniform in +-sqrt(6 / (fanIn + fanOut)) (Glorot & Bengio 2010, eq. 16)
 *
 * A layer's stream depends on (seed, layer index) only.
 */
export function initialParameters(model: ModelName, initialisation: Initialisation, seed: number): Float32Array {
  const flat = new Float32Array(parameterCount(model));
  let offset = 0;
  for (const [index, layer] of MODELS[model].layers.entries()) {
    const [fanIn, fanOut] = layer.kind === 'conv' ? [layer.inChannels * 9, layer.outChannels * 9] : [layer.inFeatures, layer.outFeatures];
    const outputs = layer.kind === 'conv' ? layer.outChannels : layer.outFeatures;
    const random = new Random('initialisation', seed, index);
    const std = Math.sqrt(2 / fanIn);
    const limit = Math.sqrt(6 / (fanIn + fanOut));
    const weights = outputs * fanIn;
    for (let i = 0; i < weights; i++) {
      flat[offset + i] = initialisation === 'he' ? random.normal() * std : (2 * random.uniform() - 1) * limit;
    }
    offset += weights + outputs;
  }
  return flat;
}
