/**
 * @file Plain training of a network that has feature-denoising blocks (Xie et al. 2019, arXiv 1812.03411). The blocks belong to the
 * model; the loss is that of `benchmark`. Xie et al. train the same networks adversarially: that is `adversarial` with such a model.
 */
import type { Config } from '../config/index.ts';
import { benchmark } from './benchmark.ts';
import type { Strategy } from './strategy.ts';

/** Minimises the mean training loss. */
export function denoise(config: Config): Strategy {
  return benchmark(config);
}
