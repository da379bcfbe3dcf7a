/** @file What a graph costs by its shapes alone: floating-point operations and bytes moved, node by node. */
import { sizeOf } from '../core/index.ts';
import type { CapturedProgram } from './capture-program.ts';
import type { Value } from './graph.ts';
import type { OnnxNode } from './onnx-proto.ts';

/** Cost of one node or of several. */
export interface Cost {
  /** Multiplications and additions of convolutions and matrix products (2 per multiply-add); other operators count 0. */
  readonly flops: number;
  /** Bytes of all inputs and outputs; 0 for operators that only rename memory. */
  readonly bytes: number;
}

const BYTES_PER_ELEMENT = { float32: 4, int32: 4, int64: 8, uint8: 1, bool: 1 } as const;
const RENAMING = new Set(['Reshape', 'Identity']);

const bytesOf = ({ shape, type }: Value): number => sizeOf(shape) * BYTES_PER_ELEMENT[type];

/** Cost of a node of a captured graph. */
export function nodeCost({ graph }: CapturedProgram, node: OnnxNode): Cost {
  if (RENAMING.has(node.op)) return { flops: 0, bytes: 0 };
  const inputs = node.inputs.filter((name) => name !== '').map((name) => graph.value(name));
  const outputs = node.outputs.map((name) => graph.value(name));
  const bytes = [...inputs, ...outputs].reduce((sum, value) => sum + bytesOf(value), 0);
  return { flops: flopsOf(node, inputs, outputs[0] as Value), bytes };
}

function flopsOf({ op, attributes }: OnnxNode, [a, b]: readonly Value[], output: Value): number {
  if (a === undefined || b === undefined) return 0;
  switch (op) {
    case 'Conv': {
      // b [O,I,kh,kw]: each output element sums I*kh*kw products.
      const [, ...window] = b.shape;
      return 2 * sizeOf(output.shape) * sizeOf(window);
    }
    case 'ConvTranspose': {
      const [, ...window] = b.shape;
      return 2 * sizeOf(a.shape) * sizeOf(window);
    }
    case 'Gemm':
      return 2 * sizeOf(output.shape) * (a.shape[attributes?.transA === 1 ? 0 : 1] as number);
    case 'MatMul':
      return 2 * sizeOf(output.shape) * (a.shape.at(-1) as number);
    default:
      return 0;
  }
}
