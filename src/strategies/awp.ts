/**
 * @file Adversarial weight perturbation (Wu, Xia and Wang 2020, arXiv 2004.05884) on top of PGD training: the gradient is taken where the
 * weights are worst within a small relative distance, which flattens the loss around them.
 */
import type { Config } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { type NamedTensors, named } from '../nn/index.ts';
import { COMMON_METRICS, plainLoss } from './benchmark.ts';
import { pgdImage } from './inner-attack.ts';
import type { StepInputs, Strategy } from './strategy.ts';

/** Squares of norms up to this count as zero: such a layer is not perturbed. */
const NORM_FLOOR_SQUARED = 1e-24;

/**
 * One ascent step on the weights w_l of each layer, v_l = gamma |w_l| g_l / |g_l| with g_l the gradient of the training loss at the
 * attacked images (one step), then the gradient at w + v, which is applied to w. Biases and the parameters of normalisations are not perturbed.
 * The loss is the mean over the shard, so each shard has a v of its own. Metrics are those at w + v.
 */
export function awp(config: Config, shardSize: number): Strategy {
  const { adversarial, awp: settings } = config.strategy;
  return {
    metricNames: COMMON_METRICS,
    ...pgdImage(config, shardSize, { ...adversarial, steps: settings.steps }),
    loss: (step) => plainLoss(config, step),
    differentiateAt: (step) => perturbed(config, step, settings.gamma),
  };
}

function perturbed(config: Config, step: StepInputs, gamma: number): NamedTensors {
  const names = Object.keys(step.params).filter((name) => name.endsWith('.weight') && named(step.params, name).rank > 1);
  const gradients = tf.grads((...weights: tf.Tensor[]) => {
    const traced = Object.fromEntries(names.map((name, i) => [name, weights[i] as tf.Tensor]));
    return plainLoss(config, { ...step, params: { ...step.params, ...traced } }).loss as tf.Scalar;
  })(names.map((name) => named(step.params, name)));
  const moved = names.map((name, i) => {
    const weight = named(step.params, name);
    const gradient = gradients[i] as tf.Tensor;
    const energy = tf.sum(tf.square(gradient));
    const usable = tf.step(tf.sub(energy, NORM_FLOOR_SQUARED));
    const ratio = tf.sqrt(tf.div(tf.sum(tf.square(weight)), tf.add(energy, tf.sub(1, usable))));
    return [name, tf.add(weight, tf.mul(gradient, tf.mul(tf.mul(ratio, usable), gamma)))] as const;
  });
  return { ...step.params, ...Object.fromEntries(moved) };
}
