/** @file Initial parameters from a seed; plain arithmetic, so equal on every engine and machine. */
import { type Config, initialValue, type Network, parameterSpecs } from '../config/index.ts';
import { Random, sizeOf } from '../core/index.ts';
import { parameterCount } from './parameters.ts';

export type Initialisation = Config['model']['initialisation'];

/**
 * Weights by layer, biases 0, normalisations as (x - mean) / std, running means 0 and variances 1, as one flat vector in the order of `parameterSpecs(network)`.
 * - `he`: normal, standard deviation sqrt(2 / fanIn) (He et al. 2015, 1502.01852, eq. 10)
 * - `glorot`: uniform in +-sqrt(6 / (fanIn + fanOut)) (Glorot & Bengio 2010, eq. 16)
 *
 * Weights of denoising blocks are 0: such a block begins as the identity, and the network as the one without it. A weight's stream
 * depends on (seed, its number among the random weights) only.
 */
export function initialParameters(network: Network, initialisation: Initialisation, seed: number): Float32Array {
  const flat = new Float32Array(parameterCount(network));
  let offset = 0;
  let index = 0;
  for (const { name, shape } of parameterSpecs(network)) {
    const size = sizeOf(shape);
    const initial = initialValue(name);
    if (initial !== 'random') {
      flat.fill(initial, offset, offset + size);
    } else {
      const [outputs, inputs, ...kernel] = shape as [number, number, ...number[]];
      const values = flat.subarray(offset, offset + size);
      fill(values, inputs * sizeOf(kernel), outputs * sizeOf(kernel), initialisation, new Random('initialisation', seed, index));
      index += 1;
    }
    offset += size;
  }
  return flat;
}

function fill(values: Float32Array, fanIn: number, fanOut: number, initialisation: Initialisation, random: Random): void {
  const std = Math.sqrt(2 / fanIn);
  const limit = Math.sqrt(6 / (fanIn + fanOut));
  for (let i = 0; i < values.length; i++) {
    values[i] = initialisation === 'he' ? random.normal() * std : (2 * random.uniform() - 1) * limit;
  }
}
