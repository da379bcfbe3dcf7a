/**
 * @file The training loss plus the norm of its input gradient (Simon-Gabriel et al. 2019, arXiv 1802.01421). To first order the largest
 * loss within |delta|_p <= eps is loss + eps |g|_q with 1/p + 1/q = 1, so the L1 norm answers L-infinity attacks. `gaie` penalises the
 * square of the L2 norm instead, as Drucker and LeCun (1992) do: the square hardly pushes where the gradient is small already.
 */
import { type Config, INPUT_LAYER } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { named } from '../nn/index.ts';
import { featureGradients, trainingLossOf } from '../objectives/index.ts';
import { COMMON_METRICS, commonMetrics } from './benchmark.ts';
import type { Strategy } from './strategy.ts';

/**
 * Minimises mean loss + strength * mean_b |dL_b/dx_b|, in [0,1] pixel units whatever `model.inputRange`. No warm-up. The metric is the mean
 * norm.
 */
export function gradientNorm(config: Config): Strategy {
  const { norm, strength } = config.strategy.gradientNorm;
  const network = config.model;
  const gradientOf = config.objective.loss;
  return {
    metricNames: [...COMMON_METRICS, 'gradientNorm/norm'],
    extraInputs: [],
    prepareImage: (inputs) => named(inputs, 'image'),
    loss: ({ params, image, target }) => {
      const kept: tf.Tensor[] = [];
      const pair = featureGradients({ network, params, image, target, layers: [INPUT_LAYER], gradientOf, kept });
      const { logits } = pair;
      // A signed input moves by two when the pixel moves by one.
      const gradient = tf.mul(pair.gradients[0] as tf.Tensor, network.inputRange === 'signed' ? 2 : 1);
      const term = tf.mean(norm === 'l1' ? absoluteSum(gradient) : euclidean(gradient));
      const lossTerm = tf.mean(trainingLossOf(config, gradientOf, pair, target));
      const loss = tf.add(lossTerm, tf.mul(term, strength));
      return { loss, metrics: [...commonMetrics(logits, target, lossTerm), term], kept };
    },
  };
}

const PIXELS = [1, 2, 3];

/** sum |g| of each sample. As g sgn(g), whose derivative is 0 where g is: that of `tf.abs` is -1 there. */
function absoluteSum(gradient: tf.Tensor): tf.Tensor {
  return tf.sum(tf.mul(gradient, tf.sign(gradient)), PIXELS);
}

/** |g|_2 of each sample. A gradient of zero has the norm 1 - 1, so that no infinite derivative is multiplied by 0. */
function euclidean(gradient: tf.Tensor): tf.Tensor {
  const energy = tf.sum(tf.square(gradient), PIXELS);
  const zero = tf.sub(1, tf.step(energy));
  return tf.sub(tf.sqrt(tf.add(energy, zero)), zero);
}
