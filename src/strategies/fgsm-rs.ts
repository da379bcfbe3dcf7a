/** @file FGSM from a random start (Wong, Rice and Kolter 2020, arXiv 2001.03994): adversarial training at the price of one attack step. */
import type { Config } from '../config/index.ts';
import { COMMON_METRICS, plainLoss } from './benchmark.ts';
import { pgdImage } from './inner-attack.ts';
import type { Strategy } from './strategy.ts';

/**
 * Minimises the mean training loss at P(x0 + a eps sgn(dL/dx at x0)), with x0 uniform in the ball cut to [0,1], a = `fgsmRs.stepOfEps` and P
 * the projection onto the ball. `accuracy` is that on the attacked images.
 */
export function fgsmRs(config: Config, shardSize: number): Strategy {
  const { adversarial, fgsmRs: settings } = config.strategy;
  const { epsLinf } = adversarial;
  return {
    metricNames: COMMON_METRICS,
    ...pgdImage(config, shardSize, { epsLinf, stepSizeLinf: settings.stepOfEps * epsLinf, steps: 1, randomStart: true }),
    loss: (step) => plainLoss(config, step),
  };
}
