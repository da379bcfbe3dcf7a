/**
 * @file FGSM training with gradient alignment (Andriushchenko and Flammarion 2020, arXiv 2007.02617): one attack step, and a penalty
 * that keeps the loss nearly linear inside the ball, where one step is enough.
 */
import { type Config, INPUT_LAYER } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { named } from '../nn/index.ts';
import { alignmentStatistics, featureGradients } from '../objectives/index.ts';
import { COMMON_METRICS, plainLoss } from './benchmark.ts';
import { lengthInStep, noiseInput, pgdImage } from './inner-attack.ts';
import type { StepInputs, Strategy } from './strategy.ts';

/**
 * Minimises mean loss at the FGSM image + lambda * mean (1 - cos(g(x), g(x + eta))), with g the input gradient of the training loss and
 * eta uniform in the ball (x + eta is not cut to [0,1]). Both gradients carry gradient to the parameters. Samples where one
 * of them vanishes contribute 0. FGSM starts at the image and steps by eps.
 */
export function gradAlign(config: Config, shardSize: number): Strategy {
  const { adversarial, gradAlign: settings } = config.strategy;
  const { epsLinf } = adversarial;
  const attack = pgdImage(config, shardSize, { epsLinf, stepSizeLinf: epsLinf, steps: 1, randomStart: false });
  return {
    metricNames: [...COMMON_METRICS, 'gradAlign/cosine'],
    extraInputs: [noiseInput(config, shardSize)],
    prepareImage: attack.prepareImage,
    loss: (step) => {
      const kept: tf.Tensor[] = [];
      const clean = named(step.inputs, 'image');
      const atImage = inputGradient(config, step, clean, kept);
      const nearby = inputGradient(
        config,
        step,
        tf.add(clean, tf.mul(named(step.inputs, 'noise'), lengthInStep(config, step.inputs, epsLinf))),
        kept,
      );
      const { cosine, usable } = alignmentStatistics(atImage, nearby);
      const plain = plainLoss(config, step);
      const loss = tf.add(plain.loss, tf.mul(tf.mean(tf.sub(usable, cosine)), settings.lambda));
      return { loss, metrics: [...plain.metrics, tf.mean(cosine)], kept };
    },
  };
}

/** Gradient of each sample's training loss by the image as the network sees it. */
function inputGradient(config: Config, { params, target }: StepInputs, image: tf.Tensor, kept: tf.Tensor[]): tf.Tensor {
  const network = config.model;
  const options = { network, params, image, target, layers: [INPUT_LAYER], gradientOf: config.objective.loss, kept };
  return featureGradients(options).gradients[0] as tf.Tensor;
}
