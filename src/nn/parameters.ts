/** @file Between the flat parameter vector of the wire and the tensors of the layers. Runs inside programs. */
import { isRunningStatistic, type Network, parameterSpecs } from '../config/index.ts';
import { sizeOf } from '../core/index.ts';
import { tf } from '../engine/index.ts';

/** Tensors by name. */
export type NamedTensors = Readonly<Record<string, tf.Tensor>>;

/** Number of scalar parameters of a network. */
export function parameterCount(network: Network): number {
  return parameterSpecs(network).reduce((sum, spec) => sum + sizeOf(spec.shape), 0);
}

/**
 * Cuts a flat vector into the network's parameters.
 * @param flat [P] float32 in the order of `parameterSpecs(network)`
 * @returns tensors by the names of `parameterSpecs(network)`, running statistics included
 */
export function splitParameters(network: Network, flat: tf.Tensor): NamedTensors {
  let offset = 0;
  const entries = parameterSpecs(network).map((spec) => {
    const size = sizeOf(spec.shape);
    const tensor = tf.reshape(tf.slice(flat, [offset], [size]), [...spec.shape]);
    offset += size;
    return [spec.name, tensor] as const;
  });
  return Object.fromEntries(entries);
}

/** Parameters without running statistics: those that gradients train. Batch normalisations then go by the batch. */
export function trainedParameters(params: NamedTensors): NamedTensors {
  return Object.fromEntries(Object.entries(params).filter(([name]) => !isRunningStatistic(name)));
}

/**
 * The inverse of {@link splitParameters} for gradients.
 * @param gradients one tensor per parameter, in the order of `parameterSpecs(network)`
 * @returns [P] float32
 */
export function flattenGradients(gradients: readonly tf.Tensor[]): tf.Tensor {
  return tf.concat(gradients.map((gradient) => tf.reshape(gradient, [-1])));
}

/** A tensor by name; a missing name is a bug of the caller. */
export function named(tensors: NamedTensors, name: string): tf.Tensor {
  const tensor = tensors[name];
  if (tensor === undefined) throw new Error(`no tensor "${name}" among ${Object.keys(tensors).join(', ')}`);
  return tensor;
}
