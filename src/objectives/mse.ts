/** @file Squared error of the logits to the one-hot label, the loss that the paper trains with. */
import { tf } from '../engine/index.ts';

/**
 * sum_k (z_k - t_k)^2 of each sample: summed, not averaged, over classes.
 * @param logits [b,10] float32
 * @param target [b,10] float32 one-hot
 * @returns [b] float32, >= 0
 */
export function squaredError(logits: tf.Tensor, target: tf.Tensor): tf.Tensor {
  return tf.sum(tf.square(tf.sub(logits, target)), -1);
}
