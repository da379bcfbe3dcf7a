/** @file How a feature h and a gradient g of one layer lie to each other, sample by sample, and what GFA charges for it. */
import type { ResolvedGfa } from '../config/index.ts';
import { tf } from '../engine/index.ts';

export type AlignmentName = ResolvedGfa['alignment'];

/** Added to the product of the norms in the cosine. */
const COSINE_EPSILON = 1e-12;
/** Square of the norm (1e-8) up to which a direction is noise. */
const NORM_FLOOR_SQUARED = 1e-16;

/** Per-sample quantities, each [b] float32. */
export interface AlignmentStatistics {
  /** c = <h,g> / (|h| |g| + 1e-12) in [-1,1]; 0 where `usable` is 0. */
  readonly cosine: tf.Tensor;
  /** |g|^2. */
  readonly gradientEnergy: tf.Tensor;
  /** 1 where |g| > 1e-8, else 0. */
  readonly hasGradient: tf.Tensor;
  /** 1 where |g| and |h| are both above 1e-8, else 0: only there is a cosine defined. */
  readonly usable: tf.Tensor;
}

/**
 * Three reductions over the feature, then arithmetic on [b] only. Unusable samples get a norm product of 1 before the square root,
 * so that no infinite derivative is ever multiplied by 0.
 * @param feature h, [b,...] float32
 * @param gradient g, of the same shape
 */
export function alignmentStatistics(feature: tf.Tensor, gradient: tf.Tensor): AlignmentStatistics {
  const axes = feature.shape.map((_, axis) => axis).slice(1);
  const dot = tf.sum(tf.mul(feature, gradient), axes);
  const featureEnergy = tf.sum(tf.square(feature), axes);
  const gradientEnergy = tf.sum(tf.square(gradient), axes);
  // tf.step, not a comparison: its gradient is defined (zero).
  const hasGradient = tf.step(tf.sub(gradientEnergy, NORM_FLOOR_SQUARED));
  const usable = tf.mul(hasGradient, tf.step(tf.sub(featureEnergy, NORM_FLOOR_SQUARED)));
  const energyProduct = tf.add(tf.mul(tf.mul(featureEnergy, gradientEnergy), usable), tf.sub(1, usable));
  const cosine = tf.div(tf.mul(dot, usable), tf.add(tf.sqrt(energyProduct), COSINE_EPSILON));
  return { cosine, gradientEnergy, hasGradient, usable };
}

/**
 * phi(c) of each sample, >= 0:
 * - `tangential-energy`: |g|^2 (1 - c^2), the energy of the part of g that is orthogonal to h (our derivation: it bounds the first-order
 *   change of the scalar under tangential perturbations)
 * - `negative-gradient`: 1 + c; `squared`: 1 - c^2; `absolute`: 1 - |c|; `positive`: 1 - c (readings of the paper, whose formula isn't public).
 *   Samples without a usable direction contribute 0.
 * @returns [b] float32
 */
export function alignmentPenalty(name: AlignmentName, statistics: AlignmentStatistics): tf.Tensor {
  const { cosine, gradientEnergy, usable } = statistics;
  switch (name) {
    case 'tangential-energy':
      return tf.mul(gradientEnergy, tf.sub(1, tf.square(cosine)));
    case 'negative-gradient':
      return tf.add(usable, cosine);
    case 'squared':
      return tf.sub(usable, tf.square(cosine));
    case 'absolute':
      return tf.sub(usable, tf.abs(cosine));
    case 'positive':
      return tf.sub(usable, cosine);
    default:
      throw new Error(`unknown alignment ${name satisfies never}`);
  }
}
