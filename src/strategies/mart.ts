/** @file MART (Wang et al. 2020, "Improving adversarial robustness requires revisiting misclassified examples", ICLR 2020). */
import type { Config } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { forward, named } from '../nn/index.ts';
import { crossEntropy, klDivergence } from '../objectives/index.ts';
import { COMMON_METRICS, commonMetrics } from './benchmark.ts';
import { pgdImage } from './inner-attack.ts';
import type { Strategy } from './strategy.ts';

/** Added to 1 - p in the logarithm, which is finite then also where a network is sure of a wrong class. */
const LOG_GUARD = 1e-4;

/**
 * Minimises mean BCE(p(x'), y) + lambda * mean KL(p(x) || p(x')) (1 - p_y(x)), with x' the end of PGD on the cross-entropy and the boosted
 * cross-entropy BCE = -log p_y(x') - log(1 - max_{k != y} p_k(x')). `lossTerm` is the mean BCE, `accuracy` that at x'.
 */
export function mart(config: Config, shardSize: number): Strategy {
  const { adversarial, mart: settings } = config.strategy;
  const network = config.model;
  return {
    metricNames: [...COMMON_METRICS, 'mart/divergence'],
    ...pgdImage(config, shardSize, { ...adversarial, steps: settings.steps }),
    loss: ({ inputs, params, image, target }) => {
      const clean = forward(network, params, named(inputs, 'image')).logits;
      const attacked = forward(network, params, image).logits;
      const lossTerm = tf.mean(boostedCrossEntropy(attacked, target));
      const wrong = tf.sub(1, tf.sum(tf.mul(tf.softmax(clean), target), -1));
      const divergence = tf.mean(tf.mul(klDivergence(clean, attacked), wrong));
      return {
        loss: tf.add(lossTerm, tf.mul(divergence, settings.lambda)),
        metrics: [...commonMetrics(attacked, target, lossTerm), divergence],
      };
    },
  };
}

/** [b] float32. */
function boostedCrossEntropy(logits: tf.Tensor, target: tf.Tensor): tf.Tensor {
  // Minus 2 at the label: no probability is larger than 1.
  const strongestOther = tf.max(tf.sub(tf.softmax(logits), tf.mul(target, 2)), -1);
  return tf.sub(crossEntropy(logits, target), tf.log(tf.sub(1 + LOG_GUARD, strongestOther)));
}
