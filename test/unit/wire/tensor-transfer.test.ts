import { describe, expect, it } from 'vitest';
import { roundToBfloat16 } from '../../../src/core/index.ts';
import { CHUNK_BYTES, TensorReceiver, TensorSender, type TensorTransfer } from '../../../src/wire/index.ts';

const values = (length: number) => Float32Array.from({ length }, (_, i) => i * 0.37 - 5);
const badMessage: unknown = expect.objectContaining({ code: 'PROTOCOL_BAD_MESSAGE' });

describe('tensor transfer', () => {
  it('sender: cuts a vector into views of 1 MiB', () => {
    const vector = values(550_570);
    const { transferId, chunks } = new TensorSender().split(vector);
    expect(transferId).toBe(1);
    expect(chunks.map(({ offset, data }) => [offset, data.length])).toEqual([
      [0, CHUNK_BYTES],
      [CHUNK_BYTES, CHUNK_BYTES],
      [2 * CHUNK_BYTES, 550_570 * 4 - 2 * CHUNK_BYTES],
    ]);
    expect(chunks.every(({ data, totalBytes }) => data.buffer === vector.buffer && totalBytes === 2_202_280)).toBe(true);
  });

  it('receiver: gives back the vector, aligned, from chunks of any length and place in memory', () => {
    const vector = values(1000).subarray(3, 990);
    const { transferId, chunks } = new TensorSender(52).split(vector);
    const receiver = new TensorReceiver({ elements: 987 });
    for (const chunk of chunks) receiver.accept({ ...chunk, data: Buffer.concat([Buffer.from([1]), chunk.data]).subarray(1) });
    expect(receiver.take(transferId)).toEqual(vector);
    expect(receiver.pending).toBe(0);
  });

  it('receiver: gets bfloat16 values in half the bytes', () => {
    const vector = values(987);
    roundToBfloat16(vector);
    const { transferId, chunks } = new TensorSender(52).split(vector, 'bfloat16');
    expect(chunks[0]?.totalBytes).toBe(2 * 987);
    const receiver = new TensorReceiver({ elements: 987 });
    for (const chunk of chunks) receiver.accept(chunk);
    expect(receiver.take(transferId)).toEqual(vector);
    const [head] = chunks as [(typeof chunks)[0]];
    receiver.accept({ ...head, transferId: 5 });
    expect(() => receiver.accept({ ...head, transferId: 5, offset: 52, totalBytes: 4 * 987 })).toThrow(badMessage);
  });

  it('receiver: keeps two transfers apart when their chunks interleave', () => {
    const sender = new TensorSender(8);
    const first = sender.split(Float32Array.of(1, 2, 3));
    const second = sender.split(Float32Array.of(4, 5, 6));
    const receiver = new TensorReceiver({ elements: 3 });
    for (const i of [0, 1]) for (const { chunks } of [second, first]) receiver.accept(chunks[i] as (typeof chunks)[0]);
    expect([...receiver.take(first.transferId)]).toEqual([1, 2, 3]);
    expect([...receiver.take(second.transferId)]).toEqual([4, 5, 6]);
  });

  it('receiver: refuses gaps, repetitions, overruns, other lengths and chunks after the end', () => {
    const { transferId, chunks } = new TensorSender(8).split(Float32Array.of(1, 2, 3, 4));
    const [head, tail] = chunks as [(typeof chunks)[0], (typeof chunks)[0]];
    const fresh = () => new TensorReceiver({ elements: 4 });
    expect(() => fresh().accept(tail)).toThrow(badMessage);
    expect(() => fresh().accept({ ...head, totalBytes: 20 })).toThrow(badMessage);
    expect(() => fresh().accept({ ...head, data: Buffer.alloc(20) })).toThrow(badMessage);
    const receiver = fresh();
    receiver.accept(head);
    expect(() => receiver.accept(head)).toThrow(badMessage);
    expect(() => receiver.take(transferId)).toThrow(badMessage);
    receiver.accept(tail);
    expect(() => receiver.accept({ ...tail, offset: 16, data: Buffer.alloc(0) })).toThrow(badMessage);
    expect([...receiver.take(transferId)]).toEqual([1, 2, 3, 4]);
    expect(() => receiver.take(transferId)).toThrow(badMessage);
  });

  it('receiver: takes no more transfers at once than allowed', () => {
    const sender = new TensorSender(4);
    const receiver = new TensorReceiver({ elements: 2, maxTransfers: 2 });
    const ids = [1, 2, 3].map(() => sender.split(Float32Array.of(1, 2)));
    for (const { chunks } of ids.slice(0, 2)) receiver.accept(chunks[0] as (typeof chunks)[0]);
    const third = (ids[2] as (typeof ids)[0]).chunks[0] as (typeof ids)[0]['chunks'][0];
    expect(() => receiver.accept(third)).toThrow(badMessage);
    receiver.discard(1);
    receiver.accept(third);
    expect(receiver.pending).toBe(2);
  });

  it('receiver: hands back what it drops and takes nothing after its end', () => {
    const sender = new TensorSender(4);
    const dropped: Float32Array[] = [];
    const receiver = new TensorReceiver({ elements: 2, recycle: (vector) => dropped.push(vector) });
    const [half, whole, taken] = [1, 2, 3].map(() => sender.split(Float32Array.of(1, 2))) as [
      TensorTransfer,
      TensorTransfer,
      TensorTransfer,
    ];
    for (const chunk of [...half.chunks.slice(0, 1), ...whole.chunks, ...taken.chunks]) receiver.accept(chunk);
    const kept = receiver.take(3);
    receiver.discard(1);
    receiver.discard(1);
    expect(dropped).toHaveLength(1);
    receiver.close();
    receiver.close();
    expect([dropped.length, receiver.pending]).toEqual([2, 0]);
    expect(dropped).not.toContain(kept);
    expect(() => receiver.accept(sender.split(Float32Array.of(1, 2)).chunks[0] as TensorTransfer['chunks'][0])).toThrow(badMessage);
  });

  it('sender: refuses chunk sizes that would split a value', () => {
    for (const size of [0, 6, -4, 4.5]) expect(() => new TensorSender(size)).toThrow(/multiple of 4/);
  });
});
