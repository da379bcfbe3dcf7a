/** @file The networks: one function for every model of the catalogue. Runs inside programs. */
import { type Network, networkOperations, type Operation } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { denoiseBlock } from './denoise.ts';
import { normalise } from './normalisation.ts';
import { type NamedTensors, named } from './parameters.ts';

export interface ForwardOptions {
  /** Tensors added to the features of the named layers (for gradients with respect to a feature), of the feature's shape. */
  readonly deltas?: NamedTensors;
}

export interface ForwardResult {
  /** [b,10] float32. */
  readonly logits: tf.Tensor;
  /**
   * By layer name: the image after range mapping (`input`) and every output after its ReLU, before pooling and denoising; NHWC for
   * convolutions, stem and stages, [b,F] for dense layers.
   */
  readonly features: Readonly<Record<string, tf.Tensor>>;
  /** Means and variances of the batch under the names of the running ones, [C] float32 each: those that batch normalisations used. */
  readonly statistics: NamedTensors;
}

/**
 * Logits and features of a batch. Pixels reach the first layer as `inputRange` says: `unit` = [0,1] as they are, `signed` = 2x-1.
 * @param params parameters by name in PyTorch layouts, as {@link splitParameters} returns them. Batch normalisations take the running
 *   statistics that are among them; without them ({@link trainedParameters}) they take those of the batch, as training does (docs/adr/0009).
 * @param image [b,32,32,3] float32 in [0,1]
 */
export function forward(network: Network, params: NamedTensors, image: tf.Tensor, { deltas = {} }: ForwardOptions = {}): ForwardResult {
  const features: Record<string, tf.Tensor> = {};
  const statistics: Record<string, tf.Tensor> = {};
  const values: tf.Tensor[] = [];
  /** Of values behind a ReLU that nobody changed: what was before it. */
  const unrectified: (tf.Tensor | undefined)[] = [];
  for (const operation of networkOperations(network)) {
    const x = values[operation.from] as tf.Tensor;
    switch (operation.kind) {
      case 'input':
        values.push(network.inputRange === 'signed' ? tf.sub(tf.mul(image, 2), 1) : image);
        break;
      case 'norm': {
        const result = normalise(operation, params, x);
        Object.assign(statistics, result.statistics);
        values.push(result.output);
        break;
      }
      case 'feature': {
        const delta = deltas[operation.name];
        const feature = delta === undefined ? x : tf.add(x, delta);
        features[operation.name] = feature;
        if (delta === undefined) unrectified[values.length] = unrectified[operation.from];
        values.push(feature);
        break;
      }
      case 'relu':
        unrectified[values.length] = x;
        values.push(tf.relu(x));
        break;
      case 'maxPool': {
        // The ReLU of the largest value is the largest ReLU, to the bit and with the same gradient, on a quarter of the values.
        const before = unrectified[operation.from];
        values.push(before === undefined ? maxPool(x) : tf.relu(maxPool(before)));
        break;
      }
      case 'add':
        values.push(tf.add(x, values[operation.other] as tf.Tensor));
        break;
      default:
        values.push(layerOutput(operation, params, x));
    }
  }
  return { logits: values.at(-1) as tf.Tensor, features, statistics };
}

/** Feature shape of a layer for a batch of `batch` samples. */
export function featureShape(network: Network, layerName: string, batch: number): number[] {
  const feature = networkOperations(network).find((operation) => operation.kind === 'feature' && operation.name === layerName);
  if (feature === undefined) throw new Error(`model ${network.name} has no layer ${layerName}`);
  return [batch, ...feature.shape];
}

type Layer = Exclude<Operation, { kind: 'input' | 'norm' | 'feature' | 'relu' | 'maxPool' | 'add' }>;

function layerOutput(operation: Layer, params: NamedTensors, x: tf.Tensor): tf.Tensor {
  switch (operation.kind) {
    case 'conv': {
      const { name, size, stride, bias } = operation;
      const filter = tf.transpose(named(params, `${name}.weight`), [2, 3, 1, 0]) as tf.Tensor4D;
      // With stride 2 'same' would pad an even image on two sides only; the engine `tensorflow` knows no other padding.
      const output = tf.conv2d(x as tf.Tensor4D, filter, stride, stride === 1 ? 'same' : (size - 1) / 2);
      return bias ? tf.add(output, named(params, `${name}.bias`)) : output;
    }
    case 'globalAveragePool':
      return tf.mean(x, [1, 2]);
    case 'denoise': {
      const { name, filter } = operation;
      return denoiseBlock(filter, x, named(params, `${name}.denoise.weight`), named(params, `${name}.denoise.bias`));
    }
    case 'dense': {
      const { name } = operation;
      return tf.add(tf.matMul(flattenChannelsFirst(x), named(params, `${name}.weight`), false, true), named(params, `${name}.bias`));
    }
    default:
      return operation satisfies never;
  }
}

function maxPool(x: tf.Tensor): tf.Tensor {
  return tf.maxPool(x as tf.Tensor4D, 2, 2, 'valid');
}

/** [b,H,W,C] to [b,C*H*W] in the order c,h,w; a matrix stays as it is. */
function flattenChannelsFirst(value: tf.Tensor): tf.Tensor {
  return value.rank === 2 ? value : tf.reshape(tf.transpose(value, [0, 3, 1, 2]), [value.shape[0], -1]);
}
