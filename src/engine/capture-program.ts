/** @file Captures a program into a graph. */
import { DeepDefenseError, isDeepDefenseError, type TensorSpec } from '../core/index.ts';
import { unblocked } from './blocks.ts';
import { capture, tensorInfo, viewOf, withCapture } from './capture-backend.ts';
import { Graph, type Value } from './graph.ts';
import './kernels/index.ts';
import { tf } from './tensorflow.ts';
import type { Program } from './types.ts';
import { expanded, plain } from './view.ts';

/** A captured program: a graph with its inputs and outputs by the program's names. */
export interface CapturedProgram {
  readonly graph: Graph;
  readonly inputs: readonly { readonly name: string; readonly value: Value }[];
  readonly outputs: readonly { readonly spec: TensorSpec; readonly value: Value }[];
}

/**
 * Runs the program once on symbols.
 * @param blockSize channels per block of the runtime's blocked convolution, 1 where it has none.
 * @throws DeepDefenseError ENGINE_UNSUPPORTED_OP naming the operation, ENGINE_READ_DURING_CAPTURE
 */
export function captureProgram(program: Program, blockSize: number): CapturedProgram {
  const graph = new Graph();
  return withCapture({ program: program.name, graph, blockSize }, () => {
    const inputs = program.inputs.map((spec) => ({ name: spec.name, value: graph.input(spec.name, spec.shape, spec.dtype) }));
    try {
      const results = tf.tidy(() => {
        const tensors: Record<string, tf.Tensor> = {};
        for (const { name, value } of inputs) tensors[name] = symbol(value);
        return program.build(tensors);
      });
      const outputs = Object.entries(results).map(([name, tensor]) => {
        const value = expanded(capture().graph, unblocked(capture().graph, viewOf(tensor)));
        const dtype = tensor.dtype === 'float32' ? 'float32' : 'int32';
        return { spec: { name, shape: tensor.shape, dtype } as TensorSpec, value };
      });
      tf.dispose(results);
      return { graph, inputs, outputs };
    } catch (error) {
      throw captureError(program.name, error);
    }
  });
}

function symbol(value: Value): tf.Tensor {
  const type = value.type === 'uint8' ? 'int32' : (value.type as 'float32' | 'int32');
  const own = value.type === 'uint8' ? capture().graph.add('Cast', [value], value.shape, 'int32', { attributes: { to: 6 } }) : value;
  const info = tensorInfo(plain(own, type), 'input');
  return tf.engine().makeTensorFromTensorInfo(info);
}

function captureError(program: string, error: unknown): unknown {
  if (isDeepDefenseError(error)) return error;
  const missing = error instanceof Error && /Kernel '(\w+)' not registered/.exec(error.message)?.[1];
  if (!missing) return error;
  return new DeepDefenseError('ENGINE_UNSUPPORTED_OP', {
    what: `program "${program}" uses the operation "${missing}", which can't be captured`,
    expected: 'an operation that docs/architecture.md lists',
    todo: 'express it with supported operations, add a kernel under src/engine/kernels, or use the eager engine',
    fields: { operation: missing },
    cause: error,
  });
}
