/** @file One ascent step along the sign of the input gradient: all of FGSM, and the body of PGD. Runs inside programs. */
import type { Network } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { forward, type NamedTensors } from '../nn/index.ts';
import { type LossName, sampleScalar } from '../objectives/index.ts';
import { type LinfBall, projectToBall } from './linf-ball.ts';

export interface SignStepOptions {
  readonly network: Network;
  readonly params: NamedTensors;
  /** [b,10] float32 one-hot. */
  readonly target: tf.Tensor;
  /** What the attack increases: the loss that the network is trained with, as in the definition of FGSM and PGD. */
  readonly loss: LossName;
  readonly ball: LinfBall;
  /** Step in [0,1] pixel units. */
  readonly stepSizeLinf: number | tf.Tensor;
}

/**
 * P(x + stepSize * sgn(dL/dx)) with sgn(0) = 0, L summed over the batch (its scale doesn't matter to the sign, but the mean's smaller
 * gradients would underflow earlier), P the projection onto the ball.
 * @param image [b,32,32,3] float32 in [0,1]
 */
export function signStep(options: SignStepOptions, image: tf.Tensor): tf.Tensor {
  const { network, params, target, loss, ball, stepSizeLinf } = options;
  const gradient = tf.grad((x: tf.Tensor) => tf.sum(sampleScalar(loss, forward(network, params, x).logits, target)))(image);
  return projectToBall(ball, tf.add(image, tf.mul(tf.sign(gradient), stepSizeLinf)));
}
