/**
 * @file Flat float32 vectors over a message stream: cut into chunks on one side, put together on the other. A vector of bfloat16 values
 * travels in two bytes a value; the number of bytes tells which.
 */
import { endianness } from 'node:os';
import { DeepDefenseError, packBfloat16, plainVectorMath, type SumPrecision } from '../core/index.ts';
import type { TensorChunk } from './messages.ts';

/** Bytes of one chunk: a longer one would hold up heartbeats behind it on the same stream. */
export const CHUNK_BYTES = 1024 * 1024;

if (endianness() !== 'LE') {
  throw new DeepDefenseError('INTERNAL', {
    what: 'this machine is big-endian',
    expected: 'a little-endian machine: tensors travel as they lie in memory',
  });
}

/** One vector on its way. */
export interface TensorTransfer {
  readonly transferId: number;
  /** At least one, also for an empty vector. */
  readonly chunks: readonly TensorChunk[];
}

/** Cuts vectors into chunks; one sender per stream, because transfer ids are unique within a stream. */
export class TensorSender {
  readonly #chunkBytes: number;
  #lastId = 0;

  /** @param chunkBytes positive multiple of 4. */
  constructor(chunkBytes: number = CHUNK_BYTES) {
    if (!Number.isInteger(chunkBytes) || chunkBytes <= 0 || chunkBytes % 4 !== 0) {
      throw new DeepDefenseError('INTERNAL', {
        what: 'bad chunk size',
        expected: 'a positive multiple of 4',
        got: String(chunkBytes),
      });
    }
    this.#chunkBytes = chunkBytes;
  }

  /**
   * Chunks of `values` under a new transfer id (1, 2, ...). Of float32 values nothing is copied: the chunks are views, so `values` must
   * not change until they have been written out. Pass a copy of anything that is updated in place.
   * @param precision `bfloat16` for values that are bfloat16 values
   */
  split(values: Float32Array, precision: SumPrecision = 'float32'): TensorTransfer {
    this.#lastId += 1;
    const transferId = this.#lastId;
    const { buffer, byteOffset, byteLength: totalBytes } = precision === 'float32' ? values : packBfloat16(values);
    const chunks: TensorChunk[] = [];
    for (let offset = 0; offset === 0 || offset < totalBytes; offset += this.#chunkBytes) {
      const length = Math.min(this.#chunkBytes, totalBytes - offset);
      chunks.push({
        transferId,
        offset,
        totalBytes,
        data: Buffer.from(buffer, byteOffset + offset, length),
      });
    }
    return { transferId, chunks };
  }
}

export interface TensorReceiverOptions {
  /** Every vector must have this many elements; a transfer of another length is refused before memory is taken. */
  readonly elements: number;
  /** Vectors that may be under way or waiting for {@link TensorReceiver.take} at once; default 64. More is refused. */
  readonly maxTransfers?: number;
  /** Where the vectors come from, all of length `elements`; default: new ones. */
  readonly allocate?: () => Float32Array;
  /** Turns bfloat16 values into float32 in place; default plain loops. */
  readonly widen?: (vector: Float32Array) => void;
  /** Receives the vectors that {@link TensorReceiver.discard} and {@link TensorReceiver.close} drop. */
  readonly recycle?: (vector: Float32Array) => void;
}

interface Assembly {
  readonly values: Float32Array;
  /** Where the chunks go: the whole of the vector, or its upper half for bfloat16 values. */
  readonly bytes: Uint8Array;
  received: number;
}

/**
 * Puts chunks of one stream together. A peer can't make it take more memory than `maxTransfers` vectors.
 * A vector is kept until {@link take}, {@link discard} or {@link close}.
 */
export class TensorReceiver {
  readonly #elements: number;
  readonly #maxTransfers: number;
  readonly #allocate: () => Float32Array;
  readonly #widen: (vector: Float32Array) => void;
  readonly #recycle: (vector: Float32Array) => void;
  readonly #transfers = new Map<number, Assembly>();
  #closed = false;

  constructor({
    elements,
    maxTransfers = 64,
    allocate = () => new Float32Array(elements),
    widen = plainVectorMath.widen,
    recycle = () => {},
  }: TensorReceiverOptions) {
    this.#elements = elements;
    this.#maxTransfers = maxTransfers;
    this.#allocate = allocate;
    this.#widen = widen;
    this.#recycle = recycle;
  }

  /** Vectors under way or complete but not taken. */
  get pending(): number {
    return this.#transfers.size;
  }

  /**
   * Takes one chunk.
   * @throws DeepDefenseError PROTOCOL_BAD_MESSAGE on a gap, a repetition, an overrun, another total length, too many transfers, or
   * after {@link close}.
   */
  accept(chunk: TensorChunk): void {
    const { transferId, offset, totalBytes, data } = chunk;
    const float32Bytes = this.#elements * 4;
    if (this.#closed) throw badChunk(chunk, 'no chunk on a stream that has ended', 'one more');
    if (totalBytes !== float32Bytes && totalBytes * 2 !== float32Bytes)
      throw badChunk(
        chunk,
        `${float32Bytes} bytes in all (${this.#elements} float32 values), or half of it (bfloat16 values)`,
        `${totalBytes} bytes`,
      );
    let assembly = this.#transfers.get(transferId);
    if (assembly === undefined) {
      if (offset !== 0) throw badChunk(chunk, 'a transfer that begins at byte 0', `first chunk at byte ${offset}`);
      if (this.#transfers.size >= this.#maxTransfers) {
        throw badChunk(chunk, `at most ${this.#maxTransfers} transfers at once`, 'one more');
      }
      // Aligned memory of our own: the offset of `data` in its buffer is arbitrary.
      const values = this.#allocate();
      const bytes = new Uint8Array(values.buffer, values.byteOffset + float32Bytes - totalBytes, totalBytes);
      assembly = { values, bytes, received: 0 };
      this.#transfers.set(transferId, assembly);
    } else if (assembly.bytes.length !== totalBytes) {
      throw badChunk(chunk, `${assembly.bytes.length} bytes in all, as the first chunk said`, `${totalBytes} bytes`);
    } else if (assembly.received === totalBytes) {
      throw badChunk(chunk, 'no chunk after the last one of a transfer', `a chunk at byte ${offset}`);
    }
    if (offset !== assembly.received) throw badChunk(chunk, `the next chunk at byte ${assembly.received}`, `a chunk at byte ${offset}`);
    if (offset + data.length > totalBytes) {
      throw badChunk(chunk, `an end at byte ${totalBytes} or before`, `an end at byte ${offset + data.length}`);
    }
    assembly.bytes.set(data, offset);
    assembly.received += data.length;
  }

  /**
   * Hands over a complete vector and forgets it.
   * @throws DeepDefenseError PROTOCOL_BAD_MESSAGE when the transfer is unknown or incomplete.
   */
  take(transferId: number): Float32Array {
    const assembly = this.#transfers.get(transferId);
    if (assembly === undefined || assembly.received !== assembly.bytes.length) {
      throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
        what: `a message names tensor transfer ${transferId}, which has not arrived`,
        expected: `all of its ${assembly?.bytes.length ?? this.#elements * 4} bytes before it`,
        got: assembly === undefined ? 'no chunk' : `${assembly.received} bytes`,
        todo: 'update the peer: both sides must run the same version',
        fields: { transferId },
      });
    }
    this.#transfers.delete(transferId);
    if (assembly.bytes.length < assembly.values.byteLength) this.#widen(assembly.values);
    return assembly.values;
  }

  /** Forgets a transfer, complete or not; no error when it is unknown. */
  discard(transferId: number): void {
    const assembly = this.#transfers.get(transferId);
    if (assembly === undefined) return;
    this.#transfers.delete(transferId);
    this.#recycle(assembly.values);
  }

  /** Discards everything and takes nothing any more: the stream has ended. May be called again. */
  close(): void {
    this.#closed = true;
    for (const transferId of [...this.#transfers.keys()]) this.discard(transferId);
  }
}

function badChunk({ transferId, offset }: TensorChunk, expected: string, got: string): DeepDefenseError {
  return new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
    what: `bad chunk of tensor transfer ${transferId}`,
    expected,
    got,
    todo: 'update the peer: both sides must run the same version',
    fields: { transferId, offset },
  });
}
