/** @file The threat model |x' - x|_inf <= eps, x' in [0,1], as two bounding images. Runs inside programs. */
import { tf } from '../engine/index.ts';

export interface LinfBall {
  /** Smallest and largest admissible image, [b,32,32,3]. */
  readonly low: tf.Tensor;
  readonly high: tf.Tensor;
}

/**
 * The box around `image0` cut to [0,1]. Bounds are computed once, so that a pixel at the border of the ball has the same bits
 * whichever way it came there.
 * @param epsLinf radius in [0,1] pixel units, a number or a scalar tensor
 */
export function linfBall(image0: tf.Tensor, epsLinf: number | tf.Tensor): LinfBall {
  return { low: tf.maximum(tf.sub(image0, epsLinf), 0), high: tf.minimum(tf.add(image0, epsLinf), 1) };
}

/** The nearest image of the ball. */
export function projectToBall({ low, high }: LinfBall, image: tf.Tensor): tf.Tensor {
  return tf.minimum(tf.maximum(image, low), high);
}
