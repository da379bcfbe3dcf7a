/** @file Softmax cross-entropy. */
import { tf } from '../engine/index.ts';

/**
 * -sum_k t_k log softmax(z)_k of each sample, differentiable any number of times.
 *
 * The gradient softmax(z) - t is given here because that of `tf.logSoftmax` keeps its own output, which loses second derivatives
 * (see src/engine/missing-gradients.ts).
 * @param logits [b,10] float32
 * @param target [b,10] float32 one-hot; a constant
 * @returns [b] float32, >= 0
 */
export function crossEntropy(logits: tf.Tensor, target: tf.Tensor): tf.Tensor {
  const perSample = tf.customGrad((z, save) => {
    (save as tf.GradSaveFunc)([z as tf.Tensor, target]);
    return {
      value: tf.neg(tf.sum(tf.mul(target, tf.logSoftmax(z as tf.Tensor)), -1)),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [logitsAgain, targetAgain] = saved as [tf.Tensor, tf.Tensor];
        return tf.mul(tf.reshape(dy, [-1, 1]), tf.sub(tf.softmax(logitsAgain), targetAgain));
      },
    };
  });
  return perSample(logits);
}
