/**
 * @file The network that a config's `model` section describes, as plain data: what the coordinator, the config check and `nn` all need
 * to know, with no tensor package. Parameter layouts are PyTorch's ([out,in,kh,kw] and [out,in]; flatten in c,h,w order), so that
 * exported weights fit elsewhere.
 */
import type { TensorSpec } from '../core/index.ts';
import { MODELS, type ModelName, type PlainModel, type ResidualModel } from './model-catalogue.ts';
import { type Operation, type OperationIndex, OperationList } from './network-operations.ts';
import { type Config, modelSchema } from './schema.ts';

/** The keys of the `model` section that decide what the network computes. */
export type Network = Omit<Config['model'], 'initialisation'>;

/** Name of the pseudo-layer whose feature is the image itself. */
export const INPUT_LAYER = 'input';

/** The network of a model whose other keys have their defaults. */
export function defaultNetwork(name: ModelName): Network {
  return modelSchema.parse({ name });
}

/** The normalisation of a network, by default group for residual ones and none for others. */
export function normOf({ name, norm }: Network): NonNullable<Network['norm']> {
  return norm ?? (MODELS[name].kind === 'residual' ? 'group' : 'none');
}

/** Layers that a denoising block can follow: those whose feature is an image. */
export function imageLayers({ name }: Network): readonly string[] {
  const model = MODELS[name];
  if (model.kind === 'residual') return ['stem', ...stageNames(model)];
  return model.layers.filter(({ kind }) => kind === 'conv').map((layer) => layer.name);
}

/** Layers that are followed by a denoising block. */
export function denoisedLayers({ name, denoise }: Network): readonly string[] {
  if (denoise.filter === 'none') return [];
  const model = MODELS[name];
  return denoise.after ?? (model.kind === 'residual' ? stageNames(model) : ['conv1', 'conv2']);
}

/** Layers that GFA can name: the input, then every layer but the last (whose output is the logits). */
export function featureLayers({ name }: Network): readonly string[] {
  const model = MODELS[name];
  if (model.kind === 'residual') return [INPUT_LAYER, 'stem', ...stageNames(model)];
  return [INPUT_LAYER, ...model.layers.slice(0, -1).map((layer) => layer.name)];
}

/** The operations of the network from the image (range-mapped) to the logits, in an order in which they can be computed. */
export function networkOperations(network: Network): readonly Operation[] {
  const model = MODELS[network.name];
  const list = new OperationList(model.inputShape);
  list.append({ kind: 'feature', name: INPUT_LAYER });
  if (model.kind === 'residual') appendResidual(list, network, model);
  else appendPlain(list, network, model);
  return list.operations;
}

/** Parameters in order, float32: `<name>.weight` ([out,in,kh,kw], [out,in] or [C]), `<name>.bias` and running statistics ([C]). */
export function parameterSpecs(network: Network): readonly TensorSpec[] {
  return networkOperations(network).flatMap((operation): TensorSpec[] => {
    switch (operation.kind) {
      case 'conv': {
        const { name, outChannels, inChannels, size, bias } = operation;
        const weight = spec(`${name}.weight`, [outChannels, inChannels, size, size]);
        return bias ? [weight, spec(`${name}.bias`, [outChannels])] : [weight];
      }
      case 'norm': {
        const { name, norm, channels } = operation;
        const statistics = norm === 'batch' ? ['runningMean', 'runningVariance'] : [];
        return ['weight', 'bias', ...statistics].map((kind) => spec(`${name}.${kind}`, [channels]));
      }
      case 'denoise': {
        const { name, channels } = operation;
        return [spec(`${name}.denoise.weight`, [channels, channels, 1, 1]), spec(`${name}.denoise.bias`, [channels])];
      }
      case 'dense': {
        const { name, outFeatures, inFeatures } = operation;
        return [spec(`${name}.weight`, [outFeatures, inFeatures]), spec(`${name}.bias`, [outFeatures])];
      }
      default:
        return [];
    }
  });
}

const spec = (name: string, shape: readonly number[]): TensorSpec => ({ name, shape, dtype: 'float32' });
const stageNames = (model: ResidualModel): string[] => model.stageChannels.map((_, i) => `stage${i + 1}`);

function appendPlain(list: OperationList, network: Network, model: PlainModel): void {
  const norm = normOf(network);
  for (const layer of model.layers) {
    if (layer.kind === 'conv') {
      const { name, inChannels, outChannels } = layer;
      list.append({ kind: 'conv', name, inChannels, outChannels, size: 3, stride: 1, bias: norm === 'none' });
      appendNorm(list, network, `${name}.norm`, outChannels);
      list.append({ kind: 'relu' });
      list.append({ kind: 'feature', name });
      if (layer.poolAfter) list.append({ kind: 'maxPool' });
      appendDenoise(list, network, name, outChannels);
    } else {
      const { name, inFeatures, outFeatures } = layer;
      list.append({ kind: 'dense', name, inFeatures, outFeatures });
      if (layer.relu) list.append({ kind: 'relu' });
      list.append({ kind: 'feature', name });
    }
  }
}

/**
 * Without pre-activation the features are the outputs of stem and stages, which end in a ReLU. With it stages end in a sum; the feature
 * is that sum after the normalisation and ReLU that all paths to what follows share.
 */
function appendResidual(list: OperationList, network: Network, model: ResidualModel): void {
  const { stemChannels, stageChannels, blocksPerStage, preActivation } = model;
  const append = preActivation ? appendPreActivationBlock : appendBasicBlock;
  const finish = (name: string, channels: number): void => {
    if (preActivation) appendNormRelu(list, network, `${name}.norm`, channels);
    list.append({ kind: 'feature', name });
    appendDenoise(list, network, name, channels);
  };
  appendConv(list, 'stem', model.inputShape[2], stemChannels, 3, 1);
  if (!preActivation) appendNormRelu(list, network, 'stem.norm', stemChannels);
  finish('stem', stemChannels);
  let channels = stemChannels;
  for (const [stage, outChannels] of stageChannels.entries()) {
    for (let block = 0; block < blocksPerStage; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      append(list, network, { name: `stage${stage + 1}.${block}`, inChannels: channels, outChannels, stride, first: block === 0 });
      channels = outChannels;
    }
    finish(`stage${stage + 1}`, channels);
  }
  list.append({ kind: 'globalAveragePool' });
  list.append({ kind: 'dense', name: 'fc', inFeatures: channels, outFeatures: model.classes });
  list.append({ kind: 'feature', name: 'fc' });
}

interface Block {
  readonly name: string;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly stride: 1 | 2;
  /** First of its stage: with pre-activation its input is normalised and rectified already. */
  readonly first: boolean;
}

/** relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)); the shortcut is x or, where the shape changes, norm(conv1x1(x)). */
function appendBasicBlock(list: OperationList, network: Network, { name, inChannels, outChannels, stride }: Block): void {
  const input = list.last;
  appendConv(list, `${name}.conv1`, inChannels, outChannels, 3, stride);
  appendNormRelu(list, network, `${name}.norm1`, outChannels);
  appendConv(list, `${name}.conv2`, outChannels, outChannels, 3, 1);
  const residual = appendNorm(list, network, `${name}.norm2`, outChannels);
  let shortcut = input;
  if (stride !== 1 || inChannels !== outChannels) {
    appendConv(list, `${name}.shortcut`, inChannels, outChannels, 1, stride, input);
    shortcut = appendNorm(list, network, `${name}.shortcut.norm`, outChannels);
  }
  list.append({ kind: 'add', other: shortcut }, residual);
  list.append({ kind: 'relu' });
}

/** conv(relu(norm(conv(a)))) + shortcut, with a = relu(norm(x)) and the shortcut x or, where the shape changes, conv1x1(a). */
function appendPreActivationBlock(list: OperationList, network: Network, { name, inChannels, outChannels, stride, first }: Block): void {
  const input = list.last;
  const activated = first ? input : appendNormRelu(list, network, `${name}.norm1`, inChannels);
  appendConv(list, `${name}.conv1`, inChannels, outChannels, 3, stride);
  appendNormRelu(list, network, `${name}.norm2`, outChannels);
  const residual = appendConv(list, `${name}.conv2`, outChannels, outChannels, 3, 1);
  const shortcut =
    stride === 1 && inChannels === outChannels
      ? input
      : appendConv(list, `${name}.shortcut`, inChannels, outChannels, 1, stride, activated);
  list.append({ kind: 'add', other: shortcut }, residual);
}

function appendConv(
  list: OperationList,
  name: string,
  inChannels: number,
  outChannels: number,
  size: 1 | 3,
  stride: 1 | 2,
  from: OperationIndex = list.last,
): OperationIndex {
  return list.append({ kind: 'conv', name, inChannels, outChannels, size, stride, bias: false }, from);
}

function appendNorm(list: OperationList, network: Network, name: string, channels: number): OperationIndex {
  const norm = normOf(network);
  return norm === 'none' ? list.last : list.append({ kind: 'norm', name, norm, channels });
}

function appendNormRelu(list: OperationList, network: Network, name: string, channels: number): OperationIndex {
  appendNorm(list, network, name, channels);
  return list.append({ kind: 'relu' });
}

function appendDenoise(list: OperationList, network: Network, name: string, channels: number): void {
  const { filter } = network.denoise;
  if (filter !== 'none' && denoisedLayers(network).includes(name)) list.append({ kind: 'denoise', name, channels, filter });
}
