/**
 * @file Gradients that a gradient of a gradient needs. TensorFlow.js 4.22 records the copy of a saved OUTPUT on its tape before the kernel
 * that made it, so the copy counts as a constant and its second derivative is silently missing (Exp, Softmax, ...; `tf.logSoftmax` has the
 * same fault in a gradient of its own, see cross-entropy.ts). The gradients here save inputs and compute the output again; a capturing
 * engine finds the common subexpression.
 */
import { tf } from '../engine/index.ts';

type Saved = readonly tf.Tensor[];

tf.registerGradient({
  kernelName: 'Exp',
  inputsToSave: ['x'],
  gradFunc: (dy, saved: Saved) => ({ x: () => tf.mul(dy as tf.Tensor, tf.exp(saved[0] as tf.Tensor)) }),
});

tf.registerGradient({
  kernelName: 'Softmax',
  inputsToSave: ['logits'],
  gradFunc: (dy, saved: Saved) => ({
    logits: () => {
      const probabilities = tf.softmax(saved[0] as tf.Tensor);
      const weighted = tf.mul(dy as tf.Tensor, probabilities);
      return tf.sub(weighted, tf.mul(tf.sum(weighted, -1, true), probabilities));
    },
  }),
});
