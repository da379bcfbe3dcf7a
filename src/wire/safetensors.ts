/**
 * @file The safetensors format (https://huggingface.co/docs/safetensors): 8 bytes little-endian header length, a JSON header with
 * dtype, shape and byte range of each tensor, then the tensors. Written so that any safetensors reader opens the files.
 */
import { DeepDefenseError, type DType, sizeOf, type TensorValue, type TypedArray } from '../core/index.ts';

/** A tensor and its name. */
export interface NamedTensor {
  readonly name: string;
  readonly value: TensorValue;
}

/** A file's content. */
export interface SafetensorsFile {
  /** In the order of their bytes. The values are aligned copies. */
  readonly tensors: ReadonlyMap<string, TensorValue>;
  readonly metadata: Readonly<Record<string, string>>;
  /** The bytes behind the header, as they lie in the file. */
  readonly data: Uint8Array;
}

const FORMAT_DTYPES = {
  float32: 'F32',
  int32: 'I32',
  uint8: 'U8',
} as const satisfies Record<DType, string>;
const LENGTH_BYTES = 8;
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Bytes of a file with the tensors in the given order. Equal input gives equal bytes.
 * @throws DeepDefenseError INTERNAL when a name comes twice or is `__metadata__`, or a length differs from the shape.
 */
export function encodeSafetensors(tensors: readonly NamedTensor[], metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const entries: [string, unknown][] = [['__metadata__', metadata]];
  const names = new Set(['__metadata__']);
  let offset = 0;
  for (const { name, value } of tensors) {
    if (names.has(name))
      throw new DeepDefenseError('INTERNAL', {
        what: `tensor name "${name}" is taken`,
        expected: 'distinct names',
      });
    if (value.data.length !== sizeOf(value.shape)) {
      throw new DeepDefenseError('INTERNAL', {
        what: `tensor "${name}" doesn't fit its shape [${value.shape.join(',')}]`,
        got: `${value.data.length} elements`,
      });
    }
    names.add(name);
    const end = offset + value.data.byteLength;
    entries.push([
      name,
      {
        dtype: FORMAT_DTYPES[value.dtype],
        shape: [...value.shape],
        data_offsets: [offset, end],
      },
    ]);
    offset = end;
  }
  // fromEntries keeps integer-like names first, so the header is put together by hand to keep the given order.
  const json = `{${entries.map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(',')}}`;
  const unpadded = Buffer.from(json);
  // Spaces after the JSON align the data to 8 bytes, as the format asks.
  const headerBytes = Math.ceil(unpadded.length / 8) * 8;
  const file = Buffer.alloc(LENGTH_BYTES + headerBytes + offset, ' ');
  file.writeBigUInt64LE(BigInt(headerBytes), 0);
  unpadded.copy(file, LENGTH_BYTES);
  let position = LENGTH_BYTES + headerBytes;
  for (const { value } of tensors) {
    file.set(bytesOf(value.data), position);
    position += value.data.byteLength;
  }
  return file;
}

/**
 * Reads a file of {@link encodeSafetensors} or of another program that uses float32, int32 and uint8 only.
 * @param path named in errors.
 * @throws DeepDefenseError CHECKPOINT_TRUNCATED when bytes are missing at the end; CHECKPOINT_CORRUPT when the header is no valid
 * header, ranges overlap or leave holes, or bytes follow the last tensor.
 */
export function decodeSafetensors(file: Uint8Array, path = 'safetensors'): SafetensorsFile {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length < LENGTH_BYTES) throw truncated(path, `at least ${LENGTH_BYTES} bytes`, bytes.length);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  if (headerBytes > MAX_HEADER_BYTES) throw corrupt(path, `a header of at most ${MAX_HEADER_BYTES} bytes`, String(headerBytes));
  const start = LENGTH_BYTES + headerBytes;
  if (bytes.length < start) throw truncated(path, `${start} bytes up to the end of the header`, bytes.length);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, start), path);

  const tensors = new Map<string, TensorValue>();
  const data = bytes.subarray(start);
  let end = 0;
  for (const { name, dtype, shape, begin, finish } of header.entries) {
    if (begin !== end) throw corrupt(path, `tensor "${name}" at byte ${end}`, `byte ${begin}`);
    const length = sizeOf(shape);
    if (finish - begin !== length * (dtype === 'uint8' ? 1 : 4)) {
      throw corrupt(path, `tensor "${name}" of ${length} ${dtype} values`, `${finish - begin} bytes`);
    }
    if (finish > data.length) throw truncated(path, `${start + finish} bytes up to the end of tensor "${name}"`, bytes.length);
    tensors.set(name, {
      shape,
      dtype,
      data: valuesOf(dtype, data, begin, finish),
    });
    end = finish;
  }
  if (end !== data.length) throw corrupt(path, `${start + end} bytes`, `${bytes.length} bytes`);
  return { tensors, metadata: header.metadata, data };
}

interface HeaderEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly finish: number;
}

function parseHeader(bytes: Buffer, path: string): { entries: HeaderEntry[]; metadata: Record<string, string> } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw corrupt(path, 'a JSON header', cause instanceof Error ? cause.message : String(cause));
  }
  if (!isRecord(parsed)) throw corrupt(path, 'a JSON object as header', 'another value');
  const { __metadata__: metadata = {}, ...rest } = parsed;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw corrupt(path, 'metadata of texts', 'another value');
  }
  const entries = Object.entries(rest).map(([name, entry]): HeaderEntry => {
    const described = isRecord(entry) ? entry : {};
    const dtype = (Object.keys(FORMAT_DTYPES) as DType[]).find((candidate) => FORMAT_DTYPES[candidate] === described.dtype);
    if (dtype === undefined) throw corrupt(path, `dtype F32, I32 or U8 of tensor "${name}"`, JSON.stringify(described.dtype));
    const { shape, data_offsets: range } = described;
    if (!isNaturals(shape) || !isNaturals(range) || range.length !== 2)
      throw corrupt(path, `shape and byte range of tensor "${name}"`, JSON.stringify(entry));
    const [begin, finish] = range as [number, number];
    return { name, dtype, shape, begin, finish };
  });
  entries.sort((a, b) => a.begin - b.begin || a.finish - b.finish);
  return { entries, metadata: metadata as Record<string, string> };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function bytesOf(values: TypedArray): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** An aligned copy: tensors may begin anywhere in the file. */
function valuesOf(dtype: DType, data: Uint8Array, begin: number, finish: number): TypedArray {
  const copy = new Uint8Array(data.subarray(begin, finish));
  if (dtype === 'float32') return new Float32Array(copy.buffer);
  return dtype === 'int32' ? new Int32Array(copy.buffer) : copy;
}

function truncated(path: string, expected: string, got: number): DeepDefenseError {
  return new DeepDefenseError('CHECKPOINT_TRUNCATED', {
    what: `"${path}" ends too early`,
    expected,
    got: `${got} bytes`,
    todo: 'use another checkpoint of the run, or copy the file again',
    fields: { path },
  });
}

function corrupt(path: string, expected: string, got: string): DeepDefenseError {
  return new DeepDefenseError('CHECKPOINT_CORRUPT', {
    what: `"${path}" is damaged or not a safetensors file`,
    expected,
    got,
    todo: 'use another checkpoint of the run',
    fields: { path },
  });
}
