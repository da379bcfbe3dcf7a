/** @file Export of a trained network as a standard ONNX file that any runtime can check. */
import { MODELS, type Network, networkLayers, parameterSpecs } from '../config/index.ts';
import { DeepDefenseError, PACKAGE_VERSION, sizeOf } from '../core/index.ts';
import { encodeOnnxModel } from '../engine/index.ts';
import { exportDenoise } from './export-denoise.ts';
import { OnnxGraphBuilder } from './onnx-graph-builder.ts';
import { parameterCount } from './parameters.ts';

/**
 * The network as an ONNX model (operator set 18): input `image` [N,3,32,32] float32 in [0,1] with any N, output `logits` [N,10].
 * The range mapping of `signed` is part of the graph; parameters keep their names and layouts.
 * @param parameters flat [P] in the order of `parameterSpecs(network)`
 * @throws DeepDefenseError CHECKPOINT_OTHER_MODEL when their number is not the model's.
 */
export function exportOnnx(network: Network, parameters: Float32Array): Uint8Array {
  const { name: model, inputRange } = network;
  if (parameters.length !== parameterCount(network)) {
    throw new DeepDefenseError('CHECKPOINT_OTHER_MODEL', {
      what: `the weights don't fit model "${model}"`,
      expected: `${parameterCount(network)} parameters`,
      got: String(parameters.length),
      todo: 'name the model that the weights were trained with',
      fields: { model },
    });
  }
  const graph = new OnnxGraphBuilder();
  addParameters(graph, network, parameters);
  let value = 'image';
  if (inputRange === 'signed') {
    const scaled = graph.add('Mul', [value, graph.floats('input.scale', [], [2])], 'input.scaled');
    value = graph.add('Sub', [scaled, graph.floats('input.shift', [], [1])], 'input');
  }
  const { inputShape, classes } = MODELS[model];
  const layers = networkLayers(network);
  let flat = false;
  for (const [index, layer] of layers.entries()) {
    const { name } = layer;
    const parameterNames = [`${name}.weight`, `${name}.bias`];
    const last = index === layers.length - 1;
    if (layer.kind === 'denoise') {
      value = exportDenoise(graph, layer, value);
      continue;
    }
    if (layer.kind === 'conv') {
      const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };
      value = graph.add('Relu', [graph.add('Conv', [value, ...parameterNames], `${name}.linear`, attributes)], name);
      if (layer.poolAfter) value = graph.add('MaxPool', [value], `${name}.pooled`, { kernel_shape: [2, 2], strides: [2, 2] });
      continue;
    }
    if (!flat) value = graph.add('Flatten', [value], 'flat', { axis: 1 });
    flat = true;
    value = graph.add('Gemm', [value, ...parameterNames], last ? 'logits' : `${name}.linear`, { transB: 1 });
    if (layer.relu) value = graph.add('Relu', [value], name);
  }
  const [height, width, channels] = inputShape;
  return encodeOnnxModel({
    name: model,
    nodes: graph.nodes,
    initializers: graph.initializers,
    inputs: [{ name: 'image', type: 'float32', shape: ['N', channels, height, width] }],
    outputs: [{ name: 'logits', type: 'float32', shape: ['N', classes] }],
    metadata: { model, inputRange, producer: `deepdefense ${PACKAGE_VERSION}` },
  });
}

function addParameters(graph: OnnxGraphBuilder, network: Network, parameters: Float32Array): void {
  let offset = 0;
  for (const { name, shape } of parameterSpecs(network)) {
    const size = sizeOf(shape);
    graph.floats(name, shape, parameters.subarray(offset, offset + size));
    offset += size;
  }
}
