/** @file Placeholder until the real one is merged. */
import type { SamplerName } from '../config/index.ts';
import type { Sampler, SamplerOptions } from './sampler.ts';
import { createGridSampler } from './samplers/grid.ts';
import { createRandomSampler } from './samplers/random.ts';
export function createSampler(name: SamplerName, options: SamplerOptions): Sampler {
  return name === 'grid' ? createGridSampler(options) : createRandomSampler(options);
}
