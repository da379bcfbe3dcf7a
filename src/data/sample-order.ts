/** @file The order in which training consumes samples: the infinite concatenation of one random permutation per epoch. */
import { Random } from '../core/index.ts';

/** One sample of one epoch; all randomness of a sample depends on this and the seed. */
export interface SamplePick {
  readonly epoch: number;
  /** Index into the training set. */
  readonly sample: number;
}

/**
 * Maps a position of the training stream to its sample. Each epoch is a permutation of all samples, so every sample of every epoch is
 * consumed exactly once, whatever the batch size. Keeps the permutations of the two epochs used last (a batch may span two).
 */
export class SampleOrder {
  readonly #seed: number;
  readonly #count: number;
  readonly #cache: { epoch: number; permutation: Uint32Array }[] = [];

  /**
   * @param seed the run's seed
   * @param count samples of one epoch, 1 or more
   */
  constructor(seed: number, count: number) {
    this.#seed = seed;
    this.#count = count;
  }

  /** Epoch and sample at a position (an integer from 0). */
  at(position: number): SamplePick {
    const epoch = Math.floor(position / this.#count);
    return { epoch, sample: this.#permutation(epoch)[position - epoch * this.#count] as number };
  }

  /** The picks at positions [first, first + count). */
  range(first: number, count: number): SamplePick[] {
    return Array.from({ length: count }, (_, i) => this.at(first + i));
  }

  #permutation(epoch: number): Uint32Array {
    const [newest] = this.#cache;
    if (newest?.epoch === epoch) return newest.permutation;
    const index = this.#cache.findIndex((entry) => entry.epoch === epoch);
    const [entry] =
      index >= 0 ? this.#cache.splice(index, 1) : [{ epoch, permutation: new Random('order', this.#seed, epoch).permutation(this.#count) }];
    this.#cache.unshift(entry as { epoch: number; permutation: Uint32Array });
    this.#cache.length = Math.min(this.#cache.length, 2);
    return (entry as { permutation: Uint32Array }).permutation;
  }
}
