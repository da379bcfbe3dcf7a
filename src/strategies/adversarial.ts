/** @file Adversarial training (Madry et al. 2018, arXiv 1706.06083): the training loss at the end of a PGD attack. */
import type { Config } from '../config/index.ts';
import { COMMON_METRICS, plainLoss } from './benchmark.ts';
import { pgdImage } from './inner-attack.ts';
import type { Strategy } from './strategy.ts';

/** Minimises the mean training loss at the attacked images; `accuracy` is that on them. */
export function adversarial(config: Config, shardSize: number): Strategy {
  return {
    metricNames: COMMON_METRICS,
    ...pgdImage(config, shardSize, config.strategy.adversarial),
    loss: (step) => plainLoss(config, step),
  };
}
