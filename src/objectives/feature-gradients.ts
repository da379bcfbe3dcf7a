/** @file Features of a batch together with the gradient of a per-sample scalar with respect to each of them. */
import type { Network } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { featureShape, forward, type NamedTensors, named } from '../nn/index.ts';
import { type GradientSource, sampleScalar } from './sample-scalars.ts';

export interface FeatureGradientOptions {
  readonly network: Network;
  /** Parameters by name, as `splitParameters` returns them. */
  readonly params: NamedTensors;
  /** [b,32,32,3] float32 in [0,1]. */
  readonly image: tf.Tensor;
  /** [b,10] float32 one-hot. */
  readonly target: tf.Tensor;
  readonly layers: readonly string[];
  readonly gradientOf: GradientSource;
  /** Receives the tensors that had to be kept; the caller disposes them when its own gradients are done. */
  readonly kept: tf.Tensor[];
}

export interface FeatureGradients {
  /** [b,10]. */
  readonly logits: tf.Tensor;
  /** The scalar of each sample, [b]. */
  readonly scalar: tf.Tensor;
  /** Features in the order of `layers`. */
  readonly features: readonly tf.Tensor[];
  /** Per-sample gradients in the order of `layers`, of the features' shapes. */
  readonly gradients: readonly tf.Tensor[];
}

/**
 * One forward and one backward pass. The differentiated value is the SUM over the batch, so that each sample's gradient is that of
 * its own scalar, whatever the batch size. Inside an outer `tf.grads`, both features and gradients carry gradient to the parameters:
 * the inner gradient is taken with respect to zero tensors added to the features.
 */
export function featureGradients(options: FeatureGradientOptions): FeatureGradients {
  const { network, params, image, target, layers, gradientOf, kept } = options;
  const batch = image.shape[0];
  const zeros = layers.map((layer) => tf.zeros(featureShape(network, layer, batch)));
  // Tensors of the forward pass would be disposed with the scope of tf.grads.
  const keep = (tensor: tf.Tensor): tf.Tensor => {
    kept.push(tf.keep(tensor));
    return tensor;
  };
  let logits: tf.Tensor | undefined;
  let scalar: tf.Tensor | undefined;
  let features: tf.Tensor[] = [];
  const gradients = tf.grads((...deltas: tf.Tensor[]) => {
    const byLayer = Object.fromEntries(layers.map((layer, i) => [layer, deltas[i] as tf.Tensor]));
    const result = forward(network, params, image, { deltas: byLayer });
    logits = keep(result.logits);
    features = layers.map((layer) => keep(named(result.features, layer)));
    scalar = keep(sampleScalar(gradientOf, result.logits, target));
    return tf.sum(scalar);
  })(zeros);
  return { logits: logits as unknown as tf.Tensor, scalar: scalar as unknown as tf.Tensor, features, gradients };
}
