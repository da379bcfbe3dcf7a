/** @file The loss term of a training step: the config's loss on the config's targets. */
import type { Config } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import type { FeatureGradients } from './feature-gradients.ts';
import { type GradientSource, sampleScalar } from './sample-scalars.ts';

/**
 * Label smoothing (Szegedy et al. 2016, arXiv 1512.00567, section 7): (1 - a) t + a / K with K classes; `target` itself for a = 0.
 * @param target [b,K] float32 one-hot
 * @param share a in [0,1)
 * @returns [b,K] float32; rows sum to 1
 */
export function smoothedTarget(target: tf.Tensor, share: number): tf.Tensor {
  return share === 0 ? target : tf.add(tf.mul(target, 1 - share), share / (target.shape[1] as number));
}

/**
 * `objective.loss` of each sample to its target with `objective.labelSmoothing`. Attacks and gradient penalties don't use this but the
 * one-hot target: what they measure must not change with the smoothing.
 * @param logits [b,K] float32
 * @param target [b,K] float32 one-hot
 * @returns [b] float32
 */
export function trainingLoss({ objective }: Config, logits: tf.Tensor, target: tf.Tensor): tf.Tensor {
  return sampleScalar(objective.loss, logits, smoothedTarget(target, objective.labelSmoothing));
}

/** The same where a pass that took gradients of `gradientOf` has the logits already, and often the loss too. @returns [b] float32 */
export function trainingLossOf(config: Config, gradientOf: GradientSource, pair: FeatureGradients, target: tf.Tensor): tf.Tensor {
  const { loss, labelSmoothing } = config.objective;
  return gradientOf === loss && labelSmoothing === 0 ? pair.scalar : trainingLoss(config, pair.logits, target);
}
