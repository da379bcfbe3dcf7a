/**
 * @file The graph under construction: nodes and constants, with common subexpressions shared as they are added.
 * Shapes here are physical: as ONNX Runtime will see them.
 */
import { createHash } from 'node:crypto';
import { sizeOf } from '../core/index.ts';
import type { OnnxAttribute, OnnxNode, OnnxTensor, OnnxType } from './onnx-proto.ts';

/** A value in the graph: an input, a constant or a node's output. */
export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: OnnxType;
}

export interface NodeOptions {
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

export class Graph {
  readonly nodes: OnnxNode[] = [];
  readonly constants: OnnxTensor[] = [];
  readonly #shared = new Map<string, Value>();
  readonly #types = new Map<string, Value>();
  readonly #producers = new Map<string, OnnxNode>();
  #count = 0;

  /** Declares a graph input. */
  input(name: string, shape: readonly number[], type: OnnxType): Value {
    return this.#register({ name: `in:${name}`, shape, type });
  }

  /** Adds a node with one output, or returns the output of an equal node that exists. */
  add(op: string, inputs: readonly (Value | undefined)[], shape: readonly number[], type: OnnxType, options: NodeOptions = {}): Value {
    const names = inputs.map((input) => input?.name ?? '');
    const key = `${options.domain ?? ''}|${op}|${names.join(',')}|${JSON.stringify(options.attributes ?? {})}`;
    const existing = this.#shared.get(key);
    if (existing) return existing;
    const value = this.#register({ name: `${op}:${this.#count++}`, shape, type });
    const node = { op, inputs: names, outputs: [value.name], ...options };
    this.nodes.push(node);
    this.#producers.set(value.name, node);
    this.#shared.set(key, value);
    return value;
  }

  /** A constant tensor; equal ones are shared. */
  constant(data: Float32Array | Int32Array | Uint8Array | BigInt64Array, shape: readonly number[], type: OnnxType): Value {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = `constant|${type}|${shape.join()}|${createHash('sha256').update(bytes).digest('base64')}`;
    const existing = this.#shared.get(key);
    if (existing) return existing;
    const value = this.#register({ name: `constant:${this.#count++}`, shape, type });
    this.constants.push({ name: value.name, type, shape, data });
    this.#shared.set(key, value);
    return value;
  }

  /** A constant vector of int64, as shape and axes inputs need. */
  integers(values: readonly number[]): Value {
    return this.constant(BigInt64Array.from(values, BigInt), [values.length], 'int64');
  }

  /** A constant scalar. */
  scalar(value: number, type: 'float32' | 'int32' | 'bool'): Value {
    const data = type === 'float32' ? Float32Array.of(value) : type === 'int32' ? Int32Array.of(value) : Uint8Array.of(value);
    return this.constant(data, [], type);
  }

  /** `value` with another physical shape of the same size. */
  reshape(value: Value, shape: readonly number[]): Value {
    if (value.shape.join() === shape.join()) return value;
    if (sizeOf(shape) !== sizeOf(value.shape)) throw new Error(`reshape of [${value.shape.join()}] to [${shape.join()}]`);
    return this.add('Reshape', [value, this.integers(shape)], shape, value.type);
  }

  /** `value` with its physical dimensions permuted: output dimension i is input dimension permutation[i]. */
  transpose(value: Value, permutation: readonly number[]): Value {
    const shape = permutation.map((p) => value.shape[p] as number);
    const moved = permutation.filter((p) => (value.shape[p] as number) > 1);
    // Dimensions of length 1 may move freely.
    if (moved.every((p, i) => i === 0 || p > (moved[i - 1] as number))) return this.reshape(value, shape);
    return this.add('Transpose', [value], shape, value.type, { attributes: { perm: [...permutation] } });
  }

  #register(value: Value): Value {
    this.#types.set(value.name, value);
    return value;
  }

  /** The node that computes a value; undefined for inputs and constants. */
  producer(value: Value): OnnxNode | undefined {
    return this.#producers.get(value.name);
  }

  /** Shape and type of a value by its name. */
  value(name: string): Value {
    const value = this.#types.get(name);
    if (!value) throw new Error(`no value "${name}" in the graph`);
    return value;
  }
}
