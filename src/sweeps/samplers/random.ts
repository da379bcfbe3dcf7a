/** @file Independent uniform points. */
import { Random } from '../../core/index.ts';
import type { Coordinate, Point } from '../point.ts';
import type { Sampler, SamplerOptions } from '../sampler.ts';

/** A uniform point. */
export function uniformPoint(coordinates: readonly Coordinate[], random: Random): Point {
  return coordinates.map((coordinate) => (coordinate.kind === 'unit' ? random.uniform() : random.integer(coordinate.choices)));
}

export function createRandomSampler({ coordinates, seed }: SamplerOptions): Sampler {
  return {
    learns: false,
    suggest: ({ candidate, attempt }) => uniformPoint(coordinates, new Random('sweep', seed, candidate, attempt)),
  };
}
