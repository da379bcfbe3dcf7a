/** @file The classification margin and the decision that follows from it. */
import { tf } from '../engine/index.ts';

/** Takes the label's logit out of a maximum; beyond any logit of a network that still works. */
const EXCLUDED = 1e30;

/** Logit of the label. @returns [b] float32 */
export function labelLogit(logits: tf.Tensor, target: tf.Tensor): tf.Tensor {
  return tf.sum(tf.mul(logits, target), -1);
}

/** Largest logit among the other classes. @returns [b] float32 */
export function bestOtherLogit(logits: tf.Tensor, target: tf.Tensor): tf.Tensor {
  return tf.max(tf.sub(logits, tf.mul(target, EXCLUDED)), -1);
}

/** max_{k != y} z_k - z_y of each sample: negative when the sample is classified correctly. @returns [b] float32 */
export function margin(logits: tf.Tensor, target: tf.Tensor): tf.Tensor {
  return tf.sub(bestOtherLogit(logits, target), labelLogit(logits, target));
}

/**
 * 1 where the label's logit is strictly the largest. A tie counts as wrong, so that a network with constant outputs
 * scores 0 instead of whatever class comes first; so does a NaN.
 * @returns [b] int32
 */
export function correctlyClassified(logits: tf.Tensor, target: tf.Tensor): tf.Tensor {
  return tf.cast(tf.greater(labelLogit(logits, target), bestOtherLogit(logits, target)), 'int32');
}
