/** @file The models as plain data. What a config adds to them is in architecture.ts. */

/** One trainable layer. Its feature, by its name, is the output after ReLU (logits for the last). */
export type LayerDescription =
  | { readonly kind: 'conv'; readonly name: string; readonly inChannels: number; readonly outChannels: number; readonly poolAfter: boolean }
  | { readonly kind: 'dense'; readonly name: string; readonly inFeatures: number; readonly outFeatures: number; readonly relu: boolean };

interface ModelBase {
  readonly name: ModelName;
  readonly summary: string;
  /** Input [H, W, C]. */
  readonly inputShape: readonly [number, number, number];
  readonly classes: number;
}

/** Layers one behind the other. */
export interface PlainModel extends ModelBase {
  readonly kind: 'plain';
  /** Convolutions are 3x3, stride 1, zero padding 1, bias, ReLU; `poolAfter` = 2x2 max-pool, stride 2, after the ReLU. */
  readonly layers: readonly LayerDescription[];
}

/**
 * A 3x3 convolution, stages of basic blocks (two 3x3 convolutions beside a shortcut), the mean over the pixels, and a dense layer. All
 * stages but the first halve height and width. Convolutions have no bias; a normalisation follows or precedes each.
 */
export interface ResidualModel extends ModelBase {
  readonly kind: 'residual';
  readonly stemChannels: number;
  readonly stageChannels: readonly number[];
  readonly blocksPerStage: number;
  /** Normalisation and ReLU before the convolutions (He et al. 2016b) instead of behind them. */
  readonly preActivation: boolean;
}

export type ModelDescription = PlainModel | ResidualModel;

export const MODEL_NAMES = ['cnn3', 'vgg6', 'resnet18', 'wrn-16-4'] as const;
export type ModelName = (typeof MODEL_NAMES)[number];

const conv = (name: string, inChannels: number, outChannels: number, poolAfter: boolean): LayerDescription => ({
  kind: 'conv',
  name,
  inChannels,
  outChannels,
  poolAfter,
});
const dense = (name: string, inFeatures: number, outFeatures: number, relu: boolean): LayerDescription => ({
  kind: 'dense',
  name,
  inFeatures,
  outFeatures,
  relu,
});

export const MODELS: Readonly<Record<ModelName, ModelDescription>> = {
  cnn3: {
    kind: 'plain',
    name: 'cnn3',
    summary: '3 convolutions (16-32-32), hidden layer of 64; 146 122 parameters',
    inputShape: [32, 32, 3],
    classes: 10,
    layers: [
      conv('conv1', 3, 16, true),
      conv('conv2', 16, 32, true),
      conv('conv3', 32, 32, false),
      dense('fc1', 2048, 64, true),
      dense('fc2', 64, 10, false),
    ],
  },
  vgg6: {
    kind: 'plain',
    name: 'vgg6',
    summary: '6 convolutions (32-32-64-64-128-128), max-pool after each pair, hidden layer of 128; 550 570 parameters',
    inputShape: [32, 32, 3],
    classes: 10,
    layers: [
      conv('conv1', 3, 32, false),
      conv('conv2', 32, 32, true),
      conv('conv3', 32, 64, false),
      conv('conv4', 64, 64, true),
      conv('conv5', 64, 128, false),
      conv('conv6', 128, 128, true),
      dense('fc1', 2048, 128, true),
      dense('fc2', 128, 10, false),
    ],
  },
  resnet18: {
    kind: 'residual',
    name: 'resnet18',
    summary: 'residual network in its form for CIFAR (stages of 64-128-256-512 channels, 2 blocks each); 11 173 962 parameters',
    inputShape: [32, 32, 3],
    classes: 10,
    stemChannels: 64,
    stageChannels: [64, 128, 256, 512],
    blocksPerStage: 2,
    preActivation: false,
  },
  'wrn-16-4': {
    kind: 'residual',
    name: 'wrn-16-4',
    summary: 'wide residual network of depth 16 and width 4 (stages of 64-128-256 channels, 2 blocks each); 2 748 890 parameters',
    inputShape: [32, 32, 3],
    classes: 10,
    stemChannels: 16,
    stageChannels: [64, 128, 256],
    blocksPerStage: 2,
    preActivation: true,
  },
};
