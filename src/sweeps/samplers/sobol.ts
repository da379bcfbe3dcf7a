/**
 * @file Scrambled Sobol points: as even as a grid, and good to stop anywhere. Direction numbers: Joe and Kuo 2008 (new-joe-kuo-6).
 * Scrambling: nested uniform scrambling by a hash (Laine and Karras 2011, in the form of Burley 2020, JCGT 9-4).
 */
import { Random } from '../../core/index.ts';
import type { Coordinate, Point } from '../point.ts';
import type { Sampler, SamplerOptions } from '../sampler.ts';

/** From the second dimension on: the polynomial as a number, then the initial direction numbers. */
const DIRECTIONS: readonly (readonly number[])[] = [
  [3, 1],
  [7, 1, 3],
  [11, 1, 3, 1],
  [13, 1, 1, 1],
  [19, 1, 1, 3, 3],
  [25, 1, 3, 5, 13],
  [37, 1, 1, 5, 5, 17],
  [41, 1, 1, 5, 5, 5],
  [47, 1, 1, 7, 11, 19],
  [55, 1, 1, 5, 1, 1],
  [59, 1, 1, 1, 3, 11],
  [61, 1, 3, 5, 5, 31],
  [67, 1, 3, 3, 9, 7, 49],
  [91, 1, 1, 1, 15, 21, 21],
  [97, 1, 3, 1, 13, 27, 49],
  [103, 1, 1, 1, 15, 7, 5],
  [109, 1, 3, 1, 15, 13, 25],
  [115, 1, 1, 5, 5, 19, 61],
  [131, 1, 3, 7, 11, 23, 15, 103],
  [137, 1, 3, 7, 13, 13, 15, 69],
  [143, 1, 1, 3, 13, 7, 35, 63],
  [145, 1, 3, 5, 9, 1, 25, 53],
  [157, 1, 3, 1, 13, 9, 35, 107],
  [167, 1, 3, 1, 5, 27, 61, 31],
  [171, 1, 1, 5, 11, 19, 41, 61],
  [185, 1, 3, 5, 3, 3, 13, 69],
  [191, 1, 1, 7, 13, 1, 19, 1],
  [193, 1, 3, 7, 5, 13, 19, 59],
  [203, 1, 1, 3, 9, 25, 29, 41],
  [211, 1, 3, 5, 13, 23, 1, 55],
  [213, 1, 3, 7, 3, 13, 59, 17],
  [229, 1, 3, 1, 3, 5, 53, 69],
  [239, 1, 1, 5, 5, 23, 33, 13],
  [241, 1, 1, 7, 7, 1, 61, 123],
  [247, 1, 1, 7, 9, 13, 61, 49],
  [253, 1, 3, 3, 5, 3, 55, 33],
  [285, 1, 3, 1, 15, 31, 13, 49, 245],
  [299, 1, 3, 5, 15, 31, 59, 63, 97],
  [301, 1, 3, 1, 11, 11, 11, 77, 249],
];

const BITS = 32;
const SCALE = 2 ** -BITS;

/** Coordinates with Sobol points; further ones are uniform. */
export const SOBOL_DIMENSIONS: number = DIRECTIONS.length + 1;

/** Direction numbers of one dimension as 32-bit integers. */
function directionsOf(dimension: number): Uint32Array {
  const row = DIRECTIONS[dimension - 1];
  if (row === undefined) return Uint32Array.from({ length: BITS }, (_, i) => 2 ** (BITS - 1 - i));
  const [polynomial = 3, ...initial] = row;
  const degree = initial.length;
  const directions = new Uint32Array(BITS);
  for (let i = 0; i < BITS; i++) {
    if (i < degree) directions[i] = (initial[i] as number) * 2 ** (BITS - 1 - i);
    else {
      const before = directions[i - degree] as number;
      let next = before ^ (before >>> degree);
      for (let k = 1; k < degree; k++) if (((polynomial >>> (degree - k)) & 1) === 1) next ^= directions[i - k] as number;
      directions[i] = next;
    }
  }
  return directions;
}

const cache: Uint32Array[] = [];

/** Coordinate of point `index` (from 0, in Gray code order) in a dimension, without scrambling, as a 32-bit integer. */
export function sobolBits(index: number, dimension: number): number {
  const directions = (cache[dimension] ??= directionsOf(dimension));
  let bits = 0;
  for (let gray = index ^ (index >>> 1), i = 0; gray !== 0; gray >>>= 1, i++) if ((gray & 1) === 1) bits ^= directions[i] as number;
  return bits >>> 0;
}

function reversed(value: number): number {
  let x = value;
  x = ((x >>> 1) & 0x55555555) | ((x & 0x55555555) << 1);
  x = ((x >>> 2) & 0x33333333) | ((x & 0x33333333) << 2);
  x = ((x >>> 4) & 0x0f0f0f0f) | ((x & 0x0f0f0f0f) << 4);
  x = ((x >>> 8) & 0x00ff00ff) | ((x & 0x00ff00ff) << 8);
  return ((x >>> 16) | (x << 16)) >>> 0;
}

/** A permutation of 32-bit integers in which each bit depends on higher ones only, once they are reversed. */
function scrambled(value: number, seed: number): number {
  let x = (reversed(value) + seed) | 0;
  for (const factor of [0x6c50b47c, 0xb82f1e52, 0xc7afe638, 0x8d22f6e6]) x ^= Math.imul(x, factor);
  return reversed(x);
}

/** The scrambled point `index` in [0, 1)^coordinates, choices as indices. */
export function sobolPoint(coordinates: readonly Coordinate[], seed: number, index: number): Point {
  return coordinates.map((coordinate, dimension) => {
    const own = new Random('sweep', seed, dimension);
    const u =
      dimension < SOBOL_DIMENSIONS
        ? scrambled(sobolBits(index, dimension), own.uint32()) * SCALE
        : new Random('sweep', seed, dimension, index).uniform();
    return coordinate.kind === 'unit' ? u : Math.floor(u * coordinate.choices);
  });
}

export function createSobolSampler({ coordinates, seed }: SamplerOptions): Sampler {
  return { learns: false, suggest: ({ candidate, attempt }) => sobolPoint(coordinates, seed, candidate + attempt) };
}
