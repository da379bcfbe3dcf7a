/** @file What one training strategy has to say. */
import type { TensorSpec } from '../core/index.ts';
import type { tf } from '../engine/index.ts';
import type { NamedTensors } from '../nn/index.ts';

/** What a strategy sees inside the program. */
export interface StepInputs {
  /** All inputs of the program by name: `image` is the clean image. */
  readonly inputs: NamedTensors;
  /**
   * Parameters by name; the gradient is taken with respect to them. Without running statistics: a network with batch normalisation goes
   * by the batch. The `params` of {@link Strategy.prepareImage} have them, so that an attack meets the network that predicts.
   */
  readonly params: NamedTensors;
  /** [b,32,32,3] float32 in [0,1]: what `prepareImage` returned. */
  readonly image: tf.Tensor;
  /** [b,10] float32 one-hot. */
  readonly target: tf.Tensor;
  /** Warm-up factor of regularisers, or of the radius of attacks inside training; a scalar in [0,1]. */
  readonly gfaScale: tf.Tensor;
}

/** The differentiated value and what is reported beside it. */
export interface StepLoss {
  /** Scalar: mean over the shard. */
  readonly loss: tf.Tensor;
  /** Scalars for `metricNames`. */
  readonly metrics: readonly tf.Tensor[];
  /** Tensors that outlive inner scopes; disposed when the step is done. */
  readonly kept?: readonly tf.Tensor[];
}

export interface Strategy {
  /** Names of the metrics after `loss`. */
  readonly metricNames: readonly string[];
  /** Inputs of the program beyond those that all strategies have. */
  readonly extraInputs: readonly TensorSpec[];
  /** The image that is trained on; a constant with respect to the parameters. */
  prepareImage(inputs: NamedTensors, params: NamedTensors): tf.Tensor;
  loss(inputs: StepInputs): StepLoss;
  /**
   * Parameters at which `loss` is differentiated instead of the given ones, from which they differ by a constant. The gradient there is
   * the answer of the step.
   */
  differentiateAt?(inputs: StepInputs): NamedTensors;
}
