/** @file The per-sample scalars that a config can name: training losses and the sources of GFA's gradient. */
import type { Config, ResolvedGfa } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { crossEntropy } from './cross-entropy.ts';
import { labelLogit, margin } from './margin.ts';
import { squaredError } from './mse.ts';

export type LossName = Config['objective']['loss'];
export type GradientSource = ResolvedGfa['gradientOf'];

/**
 * One scalar per sample, by name: `cross-entropy`, `mse` (both also training losses), `true-logit` = minus the label's logit,
 * `margin` = best other logit minus the label's. All fall as the network gets the sample right.
 * @param logits [b,10] float32
 * @param target [b,10] float32 one-hot
 * @returns [b] float32
 */
export function sampleScalar(name: GradientSource, logits: tf.Tensor, target: tf.Tensor): tf.Tensor {
  switch (name) {
    case 'cross-entropy':
      return crossEntropy(logits, target);
    case 'mse':
      return squaredError(logits, target);
    case 'true-logit':
      return tf.neg(labelLogit(logits, target));
    case 'margin':
      return margin(logits, target);
    default:
      throw new Error(`unknown scalar ${name satisfies never}`);
  }
}
