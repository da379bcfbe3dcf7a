/** @file Export of a trained network as a standard ONNX file that any runtime can check. */
import { MODELS, type Network, networkOperations, type Operation, parameterSpecs } from '../config/index.ts';
import { DeepDefenseError, PACKAGE_VERSION, sizeOf } from '../core/index.ts';
import { encodeOnnxModel } from '../engine/index.ts';
import { exportDenoise } from './export-denoise.ts';
import { exportNorm } from './export-norm.ts';
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
  const { inputShape, classes } = MODELS[model];
  const operations = networkOperations(network);
  const values: string[] = [];
  for (const [index, operation] of operations.entries()) {
    const from = values[operation.from] ?? 'image';
    values.push(
      exportOperation(graph, { network, operation, index, values, flat: (operations[operation.from]?.shape.length ?? 0) === 1 }, from),
    );
  }
  graph.add('Identity', [values.at(-1) as string], 'logits');
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

interface ExportStep {
  readonly network: Network;
  readonly operation: Operation;
  readonly index: number;
  /** Names of the results so far. */
  readonly values: readonly string[];
  /** The operand is a matrix. */
  readonly flat: boolean;
}

/** Appends one operation. @param from name of its operand @returns name of its result */
function exportOperation(graph: OnnxGraphBuilder, { network, operation, index, values, flat }: ExportStep, from: string): string {
  const output = `${operation.kind}.${index}`;
  switch (operation.kind) {
    case 'input': {
      if (network.inputRange === 'unit') return from;
      const scaled = graph.add('Mul', [from, graph.floats('input.scale', [], [2])], 'input.scaled');
      return graph.add('Sub', [scaled, graph.floats('input.shift', [], [1])], output);
    }
    case 'conv': {
      const { name, size, stride, bias } = operation;
      const inputs = [from, `${name}.weight`, ...(bias ? [`${name}.bias`] : [])];
      const pad = (size - 1) / 2;
      return graph.add('Conv', inputs, output, { kernel_shape: [size, size], pads: [pad, pad, pad, pad], strides: [stride, stride] });
    }
    case 'norm':
      return exportNorm(graph, operation, from);
    case 'relu':
      return graph.add('Relu', [from], output);
    case 'maxPool':
      return graph.add('MaxPool', [from], output, { kernel_shape: [2, 2], strides: [2, 2] });
    case 'globalAveragePool':
      return graph.add('Flatten', [graph.add('GlobalAveragePool', [from], `${output}.pooled`)], output, { axis: 1 });
    case 'add':
      return graph.add('Add', [from, values[operation.other] as string], output);
    case 'denoise':
      return exportDenoise(graph, operation, from);
    case 'dense': {
      const matrix = flat ? from : graph.add('Flatten', [from], `${output}.flat`, { axis: 1 });
      return graph.add('Gemm', [matrix, `${operation.name}.weight`, `${operation.name}.bias`], output, { transB: 1 });
    }
    case 'feature':
      return graph.add('Identity', [from], operation.name);
    default:
      return operation satisfies never;
  }
}

function addParameters(graph: OnnxGraphBuilder, network: Network, parameters: Float32Array): void {
  let offset = 0;
  for (const { name, shape } of parameterSpecs(network)) {
    const size = sizeOf(shape);
    graph.floats(name, shape, parameters.subarray(offset, offset + size));
    offset += size;
  }
}
