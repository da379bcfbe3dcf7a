/** @file A sampler by its name. */
import type { SamplerName } from '../config/index.ts';
import type { Sampler, SamplerOptions } from './sampler.ts';
import { createCmaEsSampler } from './samplers/cma-es.ts';
import { createGpSampler } from './samplers/gp.ts';
import { createGridSampler } from './samplers/grid.ts';
import { createNsga2Sampler } from './samplers/nsga2.ts';
import { createRandomSampler } from './samplers/random.ts';
import { createSobolSampler } from './samplers/sobol.ts';
import { createTpeSampler } from './samplers/tpe.ts';

const SAMPLERS: Readonly<Record<SamplerName, (options: SamplerOptions) => Sampler>> = {
  grid: createGridSampler,
  random: createRandomSampler,
  sobol: createSobolSampler,
  tpe: createTpeSampler,
  gp: createGpSampler,
  'cma-es': createCmaEsSampler,
  nsga2: createNsga2Sampler,
};

/** @throws DeepDefenseError CONFIG_INVALID where the sampler can't use the space */
export function createSampler(name: SamplerName, options: SamplerOptions): Sampler {
  return SAMPLERS[name](options);
}
