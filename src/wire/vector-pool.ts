/**
 * @file Vectors that are used again. A gradient of megabytes per answer and step would otherwise be allocated, zeroed and collected
 * each time, and the collector's pauses fall where workers wait for the next step.
 */

export class VectorPool {
  readonly #elements: number;
  readonly #keep: number;
  readonly #free: Float32Array[] = [];

  /**
   * @param elements length of every vector
   * @param keep vectors kept at most; more are left to the collector
   */
  constructor(elements: number, keep = 16) {
    this.#elements = elements;
    this.#keep = keep;
  }

  /** A vector with any content. */
  take(): Float32Array {
    return this.#free.pop() ?? new Float32Array(this.#elements);
  }

  /** Hands a vector back; nobody may use it any more. One that was transferred to another thread, or is of another length, is dropped. */
  give(vector: Float32Array): void {
    if (vector.length === this.#elements && this.#free.length < this.#keep) this.#free.push(vector);
  }
}
