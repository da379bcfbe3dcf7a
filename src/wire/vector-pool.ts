/**
 * @file Vectors that are used again. A gradient of megabytes per answer and step would otherwise be allocated, zeroed and collected
 * each time, and the collector's pauses fall where workers wait for the next step.
 */
import { DeepDefenseError } from '../core/index.ts';

export interface VectorPoolOptions {
  /** Vectors kept at most, default 16; more are left to the collector. Infinity for memory that no collector frees. */
  readonly keep?: number;
  /** Makes a vector of `elements` values; default: in memory of its own. */
  readonly allocate?: (elements: number) => Float32Array;
}

/** See the file's header. */
export class VectorPool {
  readonly #elements: number;
  readonly #keep: number;
  readonly #allocate: (elements: number) => Float32Array;
  readonly #free: Float32Array[] = [];
  readonly #adopted = new WeakSet<Float32Array>();

  /** @param elements length of every vector */
  constructor(elements: number, { keep = 16, allocate = (length) => new Float32Array(length) }: VectorPoolOptions = {}) {
    this.#elements = elements;
    this.#keep = keep;
    this.#allocate = allocate;
  }

  /** Vectors that wait to be taken. */
  get free(): number {
    return this.#free.length;
  }

  /**
   * A vector with any content.
   * @throws what `allocate` throws.
   */
  take(): Float32Array {
    const vector = this.#free.pop() ?? this.#allocate(this.#elements);
    this.#adopted.delete(vector);
    return vector;
  }

  /**
   * Hands a vector back; nobody may use it any more. One that was transferred to another thread, or is of another length, is dropped.
   * @throws DeepDefenseError INTERNAL when it was handed back before.
   */
  give(vector: Float32Array): void {
    if (this.#free.includes(vector)) throw new DeepDefenseError('INTERNAL', { what: 'a vector was handed back to its pool twice' });
    if (vector.length === this.#elements && this.#free.length < this.#keep) this.#free.push(vector);
  }

  /** Says that whoever was shown this vector uses it from now on and gives it back; see {@link reclaim}. */
  adopt(vector: Float32Array): void {
    this.#adopted.add(vector);
  }

  /** Takes back a vector that was offered to others, unless one of them adopted it. */
  reclaim(vector: Float32Array): void {
    if (!this.#adopted.has(vector)) this.give(vector);
  }
}
