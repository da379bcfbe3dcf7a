/**
 * @file Writes ONNX models (protobuf encoding of onnx.proto, IR version 8; field numbers from the ONNX specification).
 * Only what this project emits: one graph, tensors as raw little-endian data, integer/float/string attributes.
 */
import type { TypedArray } from '../core/index.ts';

/** Element types of ONNX that are used here, with their numbers. */
export const ONNX_TYPES = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9 } as const;
export type OnnxType = keyof typeof ONNX_TYPES;

/** number = float or integer by {@link OnnxFloat}; arrays are integers. */
export type OnnxAttribute = number | string | readonly number[] | OnnxFloat;
/** Marks a float attribute; plain numbers are integers. */
export interface OnnxFloat {
  readonly float: number;
}

export interface OnnxNode {
  readonly op: string;
  /** Empty for the standard operator set. */
  readonly domain?: string;
  /** Value names; '' for an optional input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxTensor {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly number[];
  readonly data: TypedArray | BigInt64Array;
}

/** A graph input or output; a string dimension is symbolic. */
export interface OnnxValueInfo {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly (number | string)[];
}

export interface OnnxModel {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Operator sets; default: the standard one, version 18. */
  readonly operatorSets?: readonly { readonly domain: string; readonly version: number }[];
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Bytes of an ONNX file. */
export function encodeOnnxModel(model: OnnxModel): Uint8Array {
  const writer = new ProtobufWriter();
  writer.integer(1, 8);
  writer.text(2, 'deepdefense');
  writer.message(7, (graph) => {
    for (const node of model.nodes) graph.message(1, (w) => writeNode(w, node));
    graph.text(2, model.name);
    for (const tensor of model.initializers) graph.message(5, (w) => writeTensor(w, tensor));
    for (const info of model.inputs) graph.message(11, (w) => writeValueInfo(w, info));
    for (const info of model.outputs) graph.message(12, (w) => writeValueInfo(w, info));
  });
  for (const { domain, version } of model.operatorSets ?? [{ domain: '', version: 18 }])
    writer.message(8, (w) => {
      w.text(1, domain);
      w.integer(2, version);
    });
  for (const [key, value] of Object.entries(model.metadata ?? {}))
    writer.message(14, (w) => {
      w.text(1, key);
      w.text(2, value);
    });
  return writer.finish();
}

function writeNode(w: ProtobufWriter, node: OnnxNode): void {
  for (const input of node.inputs) w.text(1, input);
  for (const output of node.outputs) w.text(2, output);
  w.text(4, node.op);
  for (const [name, value] of Object.entries(node.attributes ?? {})) w.message(5, (a) => writeAttribute(a, name, value));
  if (node.domain) w.text(7, node.domain);
}

function writeAttribute(w: ProtobufWriter, name: string, value: OnnxAttribute): void {
  w.text(1, name);
  if (typeof value === 'string') {
    w.text(4, value);
    w.integer(20, 3);
  } else if (typeof value === 'number') {
    w.integer(3, value);
    w.integer(20, 2);
  } else if ('float' in value) {
    w.float(2, value.float);
    w.integer(20, 1);
  } else {
    for (const item of value) w.integer(8, item);
    w.integer(20, 7);
  }
}

function writeTensor(w: ProtobufWriter, tensor: OnnxTensor): void {
  for (const length of tensor.shape) w.integer(1, length);
  w.integer(2, ONNX_TYPES[tensor.type]);
  w.text(8, tensor.name);
  w.bytes(9, new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength));
}

function writeValueInfo(w: ProtobufWriter, info: OnnxValueInfo): void {
  w.text(1, info.name);
  w.message(2, (type) =>
    type.message(1, (tensor) => {
      tensor.integer(1, ONNX_TYPES[info.type]);
      tensor.message(2, (shape) => {
        for (const length of info.shape)
          shape.message(1, (dimension) => (typeof length === 'number' ? dimension.integer(1, length) : dimension.text(2, length)));
      });
    }),
  );
}

/** A protobuf writer of exactly the wire types that ONNX files need. */
class ProtobufWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  #push(part: Uint8Array): void {
    this.#parts.push(part);
    this.#length += part.length;
  }

  #varint(value: bigint): void {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, value);
    while (rest > 127n) {
      bytes.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    this.#push(Uint8Array.from(bytes));
  }

  #tag(field: number, wireType: number): void {
    this.#varint(BigInt((field << 3) | wireType));
  }

  /** A signed 64-bit integer; negative ones take ten bytes, as the format demands. */
  integer(field: number, value: number): void {
    this.#tag(field, 0);
    this.#varint(BigInt(value));
  }

  float(field: number, value: number): void {
    this.#tag(field, 5);
    this.#push(new Uint8Array(Float32Array.of(value).buffer));
  }

  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, 2);
    this.#varint(BigInt(value.length));
    this.#push(value);
  }

  text(field: number, value: string): void {
    this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, write: (writer: ProtobufWriter) => void): void {
    const inner = new ProtobufWriter();
    write(inner);
    this.bytes(field, inner.finish());
  }

  finish(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
