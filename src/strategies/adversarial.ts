/** @file Adversarial training (Madry et al. 2018, arXiv 1706.06083): the training loss at the end of a PGD attack. */
import { linfBall, projectToBall, signStep } from '../attacks/index.ts';
import { type Config, MODELS } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { named } from '../nn/index.ts';
import { COMMON_METRICS, plainLoss } from './benchmark.ts';
import type { Strategy } from './strategy.ts';

/**
 * The attack is unrolled inside the step: start at the image or, with `randomStart`, at image + eps * noise clamped to [0,1];
 * `steps` projected sign steps on the training loss. The result counts as a constant; `accuracy` is that on the attacked images.
 */
export function adversarial(config: Config, shardSize: number): Strategy {
  const network = config.model;
  const { epsLinf, stepSizeLinf, steps, randomStart } = config.strategy.adversarial;
  return {
    metricNames: COMMON_METRICS,
    extraInputs: randomStart ? [{ name: 'noise', shape: [shardSize, ...MODELS[network.name].inputShape], dtype: 'float32' }] : [],
    prepareImage: (inputs, params) => {
      const image = named(inputs, 'image');
      const target = named(inputs, 'target');
      const ball = linfBall(image, epsLinf);
      let attacked = image;
      if (randomStart) attacked = projectToBall(ball, tf.add(image, tf.mul(named(inputs, 'noise'), epsLinf)));
      for (let step = 0; step < steps; step++) {
        attacked = signStep({ network, params, target, loss: config.objective.loss, ball, stepSizeLinf }, attacked);
      }
      return attacked;
    },
    loss: (step) => plainLoss(config, step),
  };
}
