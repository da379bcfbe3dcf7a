import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors, type NamedTensor } from '../../../src/wire/index.ts';

const tensors: NamedTensor[] = [
  { name: 'conv1.weight', value: { shape: [2, 3], dtype: 'float32', data: Float32Array.of(1.5, -2, 3, 0.1, -0, 7) } },
  { name: '10', value: { shape: [3], dtype: 'uint8', data: Uint8Array.of(1, 2, 255) } },
  { name: 'count', value: { shape: [], dtype: 'int32', data: Int32Array.of(-5) } },
];

/** A file as another program could have written it. */
function fileOf(header: unknown, dataBytes: number): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(dataBytes)]);
}

const tensor = (begin: number, end: number, shape = [(end - begin) / 4], dtype = 'F32') => ({ dtype, shape, data_offsets: [begin, end] });
const corrupt: unknown = expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' });
const truncated: unknown = expect.objectContaining({ code: 'CHECKPOINT_TRUNCATED' });

describe('safetensors', () => {
  it('file: has exactly the bytes that the format asks for', () => {
    const file = Buffer.from(encodeSafetensors(tensors.slice(1), { a: 'b' }));
    const header =
      '{"__metadata__":{"a":"b"},"10":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"count":{"dtype":"I32","shape":[],"data_offsets":[3,7]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8, ' ');
    const length = Buffer.alloc(8);
    length.writeUInt32LE(padded.length);
    expect(file).toEqual(Buffer.concat([length, Buffer.from(padded), Buffer.from([1, 2, 255]), Buffer.from([0xfb, 0xff, 0xff, 0xff])]));
  });

  it('file: comes back as it was, from any place in memory', () => {
    const file = encodeSafetensors(tensors, { note: 'ü "quoted"' });
    const moved = Buffer.concat([Buffer.from([0]), file]).subarray(1);
    const read = decodeSafetensors(moved);
    expect([...read.tensors]).toEqual(tensors.map(({ name, value }) => [name, value]));
    expect(Object.is(read.tensors.get('conv1.weight')?.data[4], -0)).toBe(true);
    expect(read.metadata).toEqual({ note: 'ü "quoted"' });
  });

  it('file: is truncated when cut anywhere', () => {
    const file = encodeSafetensors(tensors);
    for (let length = 0; length < file.length; length++) expect(() => decodeSafetensors(file.subarray(0, length), 'w')).toThrow(truncated);
  });

  it('file: is corrupt when header and data disagree', () => {
    const cases: Record<string, Buffer> = {
      'no JSON': fileOf('{"a":', 0),
      'no object': fileOf([], 0),
      'metadata of numbers': fileOf({ __metadata__: { a: 1 } }, 0),
      'unknown dtype': fileOf({ a: tensor(0, 4, [1], 'F16') }, 4),
      'shape against bytes': fileOf({ a: tensor(0, 8, [3]) }, 8),
      'negative shape': fileOf({ a: tensor(0, 4, [-1]) }, 4),
      overlap: fileOf({ a: tensor(0, 8), b: tensor(4, 12) }, 12),
      hole: fileOf({ a: tensor(0, 4), b: tensor(8, 12) }, 12),
      'bytes at the end': fileOf({ a: tensor(0, 4) }, 8),
      'huge header': Buffer.concat([Buffer.from([0, 0, 0, 0, 1, 0, 0, 0]), Buffer.alloc(8)]),
    };
    for (const [name, file] of Object.entries(cases)) expect(() => decodeSafetensors(file), name).toThrow(corrupt);
  });

  it('writer: refuses names that come twice and values that miss their shape', () => {
    expect(() => encodeSafetensors([tensors[1] as NamedTensor, tensors[1] as NamedTensor])).toThrow(/taken/);
    expect(() => encodeSafetensors([{ name: 'a', value: { shape: [2], dtype: 'float32', data: new Float32Array(3) } }])).toThrow(/shape/);
  });
});
