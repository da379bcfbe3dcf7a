/** @file Collects the nodes and constants of an exported network. */
import type { OnnxAttribute, OnnxNode, OnnxTensor } from '../engine/index.ts';

export class OnnxGraphBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];

  /** Appends a node with one output. @returns the output's name */
  add(op: string, inputs: readonly string[], output: string, attributes: Readonly<Record<string, OnnxAttribute>> = {}): string {
    this.nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  }

  /** A float32 constant. @returns its name */
  floats(name: string, shape: readonly number[], values: readonly number[] | Float32Array): string {
    this.initializers.push({ name, type: 'float32', shape, data: Float32Array.from(values) });
    return name;
  }

  /** An int64 vector. @returns its name */
  integers(name: string, values: readonly number[]): string {
    this.initializers.push({ name, type: 'int64', shape: [values.length], data: BigInt64Array.from(values.map(BigInt)) });
    return name;
  }
}
