/**
 * @file Seeded randomness that depends on a key, never on who asks or when. A key is a list of integers such as
 * (seed, purpose, epoch, sample); equal keys give equal streams on every machine.
 */

/** Purposes keep streams of one seed apart; never renumber, results would change. */
export const RANDOM_PURPOSES = {
  initialisation: 1,
  order: 2,
  augmentation: 3,
  attack: 4,
  synthetic: 5,
  evaluation: 6,
  sweep: 7,
} as const;

export type RandomPurpose = keyof typeof RANDOM_PURPOSES;

/** 32-bit finaliser of MurmurHash3 (Appleby, public domain constants). */
function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * A stream of random numbers: the sfc32 generator (Doty-Humphrey, PractRand), seeded by hashing the key.
 * Integers of a key may be up to 2^53-1.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(purpose: RandomPurpose, ...key: readonly number[]) {
    let a = 0x9e3779b9 ^ RANDOM_PURPOSES[purpose];
    let b = 0x243f6a88;
    let c = 0xb7e15162;
    for (const word of key) {
      const low = word >>> 0;
      const high = Math.floor(word / 0x100000000) >>> 0;
      a = mix32(a ^ low);
      b = mix32((b + a) ^ high);
      c = mix32(c ^ Math.imul(b, 0x9e3779b1) ^ low);
    }
    this.#a = a;
    this.#b = b;
    this.#c = c;
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** A uniform integer in [0, 2^32). */
  uint32(): number {
    const t = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    this.#c |= 0;
    return t >>> 0;
  }

  /** A uniform float64 in [0, 1) with 32 random bits. */
  uniform(): number {
    return this.uint32() / 0x100000000;
  }

  /** A uniform integer in [0, bound), unbiased; bound in [1, 2^32]. */
  integer(bound: number): number {
    const limit = 0x100000000 - (0x100000000 % bound);
    let value = this.uint32();
    while (value >= limit) value = this.uint32();
    return value % bound;
  }

  /** A standard normal float64 (Box-Muller, one of the pair; no state is kept between calls). */
  normal(): number {
    const u = (this.uint32() + 1) / 0x100000001;
    const v = this.uniform();
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
  }

  /** A permutation of 0..length-1 (Fisher-Yates). */
  permutation(length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const kept = order[i] as number;
      order[i] = order[j] as number;
      order[j] = kept;
    }
    return order;
  }
}
