/** @file The networks: one function for every model of the catalogue. Runs inside programs. */
import { INPUT_LAYER, MODELS, type Network, networkLayers } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { denoiseBlock } from './denoise.ts';
import { type NamedTensors, named } from './parameters.ts';

export interface ForwardOptions {
  /** Tensors added to the features of the named layers (for gradients with respect to a feature), of the feature's shape. */
  readonly deltas?: NamedTensors;
}

export interface ForwardResult {
  /** [b,10] float32. */
  readonly logits: tf.Tensor;
  /** By layer name: the image after range mapping (`input`) and every output after its ReLU, before pooling and denoising; NHWC for convolutions, [b,F] for dense layers. */
  readonly features: Record<string, tf.Tensor>;
}

/**
 * Logits and features of a batch. Pixels reach the first layer as `inputRange` says: `unit` = [0,1] as they are, `signed` = 2x-1.
 * @param params parameters by name in PyTorch layouts, as {@link splitParameters} returns them
 * @param image [b,32,32,3] float32 in [0,1]
 */
export function forward(network: Network, params: NamedTensors, image: tf.Tensor, { deltas = {} }: ForwardOptions = {}): ForwardResult {
  const features: Record<string, tf.Tensor> = {};
  const tap = (name: string, value: tf.Tensor): tf.Tensor => {
    const delta = deltas[name];
    const feature = delta === undefined ? value : tf.add(value, delta);
    features[name] = feature;
    return feature;
  };
  let value = tap(INPUT_LAYER, network.inputRange === 'signed' ? tf.sub(tf.mul(image, 2), 1) : image);
  for (const layer of networkLayers(network)) {
    if (layer.kind === 'denoise') {
      const { name, filter } = layer;
      value = denoiseBlock(filter, value, named(params, `${name}.denoise.weight`), named(params, `${name}.denoise.bias`));
      continue;
    }
    const weight = named(params, `${layer.name}.weight`);
    const bias = named(params, `${layer.name}.bias`);
    if (layer.kind === 'conv') {
      const filter = tf.transpose(weight, [2, 3, 1, 0]);
      const output = tf.add(tf.conv2d(value as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same'), bias);
      value = tap(layer.name, tf.relu(output));
      if (layer.poolAfter) value = tf.maxPool(value as tf.Tensor4D, 2, 2, 'valid');
    } else {
      const output = tf.add(tf.matMul(flattenChannelsFirst(value), weight, false, true), bias);
      value = tap(layer.name, layer.relu ? tf.relu(output) : output);
    }
  }
  return { logits: value, features };
}

/** Feature shape of a layer for a batch of `batch` samples. */
export function featureShape({ name: model }: Network, layerName: string, batch: number): number[] {
  const description = MODELS[model];
  let [height, width, channels] = description.inputShape;
  if (layerName === INPUT_LAYER) return [batch, height, width, channels];
  for (const layer of description.layers) {
    if (layer.kind === 'dense') {
      if (layer.name === layerName) return [batch, layer.outFeatures];
      continue;
    }
    channels = layer.outChannels;
    if (layer.name === layerName) return [batch, height, width, channels];
    if (layer.poolAfter) [height, width] = [height / 2, width / 2];
  }
  throw new Error(`model ${model} has no layer ${layerName}`);
}

/** [b,H,W,C] to [b,C*H*W] in the order c,h,w; a matrix stays as it is. */
function flattenChannelsFirst(value: tf.Tensor): tf.Tensor {
  return value.rank === 2 ? value : tf.reshape(tf.transpose(value, [0, 3, 1, 2]), [value.shape[0], -1]);
}
