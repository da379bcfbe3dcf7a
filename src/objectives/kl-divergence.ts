/** @file How far the predictions for one image are from those for another. */
import { tf } from '../engine/index.ts';

/**
 * KL(p || q) = sum_k p_k (log p_k - log q_k) of each sample, with p and q the softmax of the two logits. Carries gradient to both;
 * first derivatives only (see src/engine/missing-gradients.ts).
 * @param logitsP [b,K] float32
 * @param logitsQ [b,K] float32
 * @returns [b] float32, >= 0 up to rounding
 */
export function klDivergence(logitsP: tf.Tensor, logitsQ: tf.Tensor): tf.Tensor {
  return tf.sum(tf.mul(tf.softmax(logitsP), tf.sub(tf.logSoftmax(logitsP), tf.logSoftmax(logitsQ))), -1);
}
