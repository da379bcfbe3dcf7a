/** @file Group and batch normalisation. Run inside programs. */
import type { NormOperation } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { type NamedTensors, named } from './parameters.ts';

/** Groups of a group normalisation; the channels of every network are multiples of it. */
export const NORM_GROUPS = 8;
/** Added to variances before the square root, as in PyTorch. */
export const NORM_EPSILON = 1e-5;

export interface NormResult {
  /** Of the input's shape. */
  readonly output: tf.Tensor;
  /** With batch normalisation by the batch: its statistics, [C] each, under the names of the running ones. */
  readonly statistics: NamedTensors;
}

/**
 * (x - mean) / sqrt(variance + 1e-5) * weight + bias, weight and bias by channel.
 * - `group` (Wu and He 2018, 1803.08494, eq. 7): mean and variance of each sample over the pixels and the channels of a group
 * - `batch` (Ioffe and Szegedy 2015, 1502.03167): of each channel over samples and pixels where `params` has no running statistics,
 *   which is so in training only; else the running ones. A batch is one logical shard (ghost batches, Hoffer et al. 2017, 1705.08741).
 *
 * Variances are means of squared distances from the mean, so never negative.
 *
 * @param x [b,H,W,C] float32
 */
export function normalise({ name, norm, channels }: NormOperation, params: NamedTensors, x: tf.Tensor): NormResult {
  const weight = named(params, `${name}.weight`);
  const bias = named(params, `${name}.bias`);
  if (norm === 'group') {
    const centred = tf.sub(x, groupMeans(x, channels));
    const variance = groupMeans(tf.square(centred), channels);
    return { output: scaled(centred, variance, weight, bias), statistics: {} };
  }
  const meanName = `${name}.runningMean`;
  const varianceName = `${name}.runningVariance`;
  const runningMean = params[meanName];
  if (runningMean !== undefined) {
    const output = scaled(tf.sub(x, runningMean), named(params, varianceName), weight, bias);
    return { output, statistics: {} };
  }
  const mean = tf.mean(x, [0, 1, 2]);
  const centred = tf.sub(x, mean);
  const variance = tf.mean(tf.square(centred), [0, 1, 2]);
  const count = x.size / channels;
  // As in PyTorch, the running variance is that of the population, of which the batch is a sample.
  const unbiased = tf.mul(variance, count / (count - 1));
  return { output: scaled(centred, variance, weight, bias), statistics: { [meanName]: mean, [varianceName]: unbiased } };
}

function scaled(centred: tf.Tensor, variance: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  return tf.add(tf.mul(centred, tf.mul(tf.rsqrt(tf.add(variance, NORM_EPSILON)), weight)), bias);
}

/** Means over the pixels and the channels of a group: [b,H,W,C] to [b,1,1,C], equal within a group. */
function groupMeans(x: tf.Tensor, channels: number): tf.Tensor {
  const size = channels / NORM_GROUPS;
  const byGroup = tf.reshape(tf.mean(x, [1, 2]), [-1, NORM_GROUPS, size]);
  const means = tf.add(tf.mean(byGroup, 2, true), tf.zeros([1, 1, size]));
  return tf.reshape(means, [-1, 1, 1, channels]);
}
