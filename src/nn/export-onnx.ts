/** @file Export of a trained network as a standard ONNX file that any runtime can check. */
import { MODELS, type ModelName, parameterSpecs } from '../config/index.ts';
import { DeepDefenseError, PACKAGE_VERSION, sizeOf } from '../core/index.ts';
import { encodeOnnxModel, type OnnxAttribute, type OnnxNode, type OnnxTensor } from '../engine/index.ts';
import type { InputRange } from './forward.ts';
import { parameterCount } from './parameters.ts';

/**
 * The network as an ONNX model (operator set 18): input `image` [N,3,32,32] float32 in [0,1] with any N, output `logits` [N,10].
 * The range mapping of `signed` is part of the graph; parameters keep their names and layouts.
 * @param parameters flat [P] in the order of `parameterSpecs(model)`
 * @throws DeepDefenseError CHECKPOINT_OTHER_MODEL when their number is not the model's.
 */
export function exportOnnx(model: ModelName, inputRange: InputRange, parameters: Float32Array): Uint8Array {
  if (parameters.length !== parameterCount(model)) {
    throw new DeepDefenseError('CHECKPOINT_OTHER_MODEL', {
      what: `the weights don't fit model "${model}"`,
      expected: `${parameterCount(model)} parameters`,
      got: String(parameters.length),
      todo: 'name the model that the weights were trained with',
      fields: { model },
    });
  }
  const nodes: OnnxNode[] = [];
  const initializers = initializersOf(model, parameters);
  let value = 'image';
  const emit = (op: string, inputs: string[], output: string, attributes: Record<string, OnnxAttribute> = {}): void => {
    nodes.push({ op, inputs: [value, ...inputs], outputs: [output], attributes });
    value = output;
  };
  if (inputRange === 'signed') {
    initializers.push(scalar('input.scale', 2), scalar('input.shift', 1));
    emit('Mul', ['input.scale'], 'input.scaled');
    emit('Sub', ['input.shift'], 'input');
  }
  const { layers, inputShape, classes } = MODELS[model];
  let flat = false;
  for (const [index, layer] of layers.entries()) {
    const { name } = layer;
    const parameterNames = [`${name}.weight`, `${name}.bias`];
    const last = index === layers.length - 1;
    if (layer.kind === 'conv') {
      emit('Conv', parameterNames, `${name}.linear`, { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] });
      emit('Relu', [], name);
      if (layer.poolAfter) emit('MaxPool', [], `${name}.pooled`, { kernel_shape: [2, 2], strides: [2, 2] });
      continue;
    }
    if (!flat) emit('Flatten', [], 'flat', { axis: 1 });
    flat = true;
    emit('Gemm', parameterNames, last ? 'logits' : `${name}.linear`, { transB: 1 });
    if (layer.relu) emit('Relu', [], name);
  }
  const [height, width, channels] = inputShape;
  return encodeOnnxModel({
    name: model,
    nodes,
    initializers,
    inputs: [{ name: 'image', type: 'float32', shape: ['N', channels, height, width] }],
    outputs: [{ name: 'logits', type: 'float32', shape: ['N', classes] }],
    metadata: { model, inputRange, producer: `deepdefense ${PACKAGE_VERSION}` },
  });
}

function initializersOf(model: ModelName, parameters: Float32Array): OnnxTensor[] {
  let offset = 0;
  return parameterSpecs(model).map(({ name, shape }) => {
    const data = parameters.subarray(offset, offset + sizeOf(shape));
    offset += data.length;
    return { name, type: 'float32', shape, data };
  });
}

function scalar(name: string, value: number): OnnxTensor {
  return { name, type: 'float32', shape: [], data: Float32Array.of(value) };
}
