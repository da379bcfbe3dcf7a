/**
 * @file The network that a config's `model` section describes, as plain data: what the coordinator, the config check and `nn` all need
 * to know, with no tensor package. Parameter layouts are PyTorch's ([out,in,kh,kw] and [out,in]; flatten in c,h,w order), so that
 * exported weights fit elsewhere.
 */
import type { TensorSpec } from '../core/index.ts';
import { type LayerDescription, MODELS, type ModelName } from './model-catalogue.ts';
import { type Config, modelSchema } from './schema.ts';

/** The keys of the `model` section that decide what the network computes. */
export type Network = Omit<Config['model'], 'initialisation'>;

/** What a denoising block filters with; see {@link DenoiseDescription}. */
export type DenoiseFilter = Exclude<Network['denoise']['filter'], 'none'>;

/**
 * A feature-denoising block (Xie et al. 2019, arXiv 1812.03411, section 4): h + conv1x1(filter(h)), behind the layer `name`, on what
 * that layer hands to the next one (after its pooling). Its parameters are `<name>.denoise.weight` and `<name>.denoise.bias`.
 */
export interface DenoiseDescription {
  readonly kind: 'denoise';
  readonly name: string;
  readonly channels: number;
  readonly filter: DenoiseFilter;
}

export type NetworkLayer = LayerDescription | DenoiseDescription;

/** Name of the pseudo-layer whose feature is the image itself. */
export const INPUT_LAYER = 'input';

/** The network of a model whose other keys have their defaults. */
export function defaultNetwork(name: ModelName): Network {
  return modelSchema.parse({ name });
}

/** Layers that a denoising block can follow: those whose output is an image. */
export function imageLayers({ name }: Network): readonly string[] {
  return MODELS[name].layers.filter(({ kind }) => kind === 'conv').map((layer) => layer.name);
}

/** Layers that are followed by a denoising block. */
export function denoisedLayers({ denoise }: Network): readonly string[] {
  return denoise.filter === 'none' ? [] : (denoise.after ?? ['conv1', 'conv2']);
}

/** All layers of the network in the order in which they are computed. */
export function networkLayers(network: Network): readonly NetworkLayer[] {
  const { filter } = network.denoise;
  const denoised = denoisedLayers(network);
  return MODELS[network.name].layers.flatMap((layer): NetworkLayer[] => {
    if (filter === 'none' || layer.kind !== 'conv' || !denoised.includes(layer.name)) return [layer];
    return [layer, { kind: 'denoise', name: layer.name, channels: layer.outChannels, filter }];
  });
}

/** Layers that GFA can name: the input, then every layer but the last (whose output is the logits). */
export function featureLayers({ name }: Network): readonly string[] {
  return [INPUT_LAYER, ...MODELS[name].layers.slice(0, -1).map((layer) => layer.name)];
}

/** Parameters in order: `<layer>.weight` ([out,in,kh,kw] or [out,in]) and `<layer>.bias` ([out]), float32. */
export function parameterSpecs(network: Network): readonly TensorSpec[] {
  return networkLayers(network).flatMap((layer): TensorSpec[] => {
    switch (layer.kind) {
      case 'conv':
        return weightAndBias(layer.name, [layer.outChannels, layer.inChannels, 3, 3]);
      case 'denoise':
        return weightAndBias(`${layer.name}.denoise`, [layer.channels, layer.channels, 1, 1]);
      case 'dense':
        return weightAndBias(layer.name, [layer.outFeatures, layer.inFeatures]);
      default:
        return layer satisfies never;
    }
  });
}

function weightAndBias(name: string, shape: readonly [number, number, ...number[]]): TensorSpec[] {
  return [
    { name: `${name}.weight`, shape, dtype: 'float32' },
    { name: `${name}.bias`, shape: [shape[0]], dtype: 'float32' },
  ];
}
