/** @file All combinations of a grid, the last coordinate fastest. */
import { DeepDefenseError } from '../../core/index.ts';
import type { Coordinate, Point } from '../point.ts';
import type { Sampler, SamplerOptions } from '../sampler.ts';

/** Most points of one grid: more can't be tried and would only hide a mistake. */
const MOST_POINTS = 1_000_000;

/**
 * @throws DeepDefenseError CONFIG_INVALID where a coordinate has no grid, or the grid is too large.
 */
export function createGridSampler({ coordinates }: SamplerOptions): Sampler {
  const sizes = coordinates.map(sizeOfGrid);
  const total = sizes.reduce((product, size) => product * size, 1);
  if (total > MOST_POINTS) {
    throw new DeepDefenseError('CONFIG_INVALID', {
      what: 'the grid is too large',
      expected: `at most ${MOST_POINTS} points`,
      got: `${sizes.join(' x ')} = ${total}`,
      todo: 'use fewer points per parameter, or the sampler sobol',
    });
  }
  return {
    learns: false,
    // An attempt that was refused is a point that the grid has and the space does not: the planner passes over it.
    suggest: ({ candidate, attempt }) => {
      const index = candidate + attempt;
      return index < total ? pointAt(index, coordinates, sizes) : undefined;
    },
  };
}

function pointAt(index: number, coordinates: readonly Coordinate[], sizes: readonly number[]): Point {
  const point = sizes.map(() => 0);
  let rest = index;
  for (let i = sizes.length - 1; i >= 0; i--) {
    const size = sizes[i] as number;
    const digit = rest % size;
    rest = Math.floor(rest / size);
    // From the low to the high end; one point lies in the middle. The space's upper end is just below 1.
    point[i] = coordinates[i]?.kind === 'choice' ? digit : size === 1 ? 0.5 : Math.min(digit / (size - 1), 1 - Number.EPSILON);
  }
  return point;
}

function sizeOfGrid(coordinate: Coordinate): number {
  if (coordinate.kind === 'choice') return coordinate.choices;
  if (coordinate.gridPoints !== undefined) return coordinate.gridPoints;
  throw new DeepDefenseError('CONFIG_INVALID', {
    what: `the parameter "${coordinate.name}" has no grid`,
    expected: '"points", or a "step"',
    todo: 'say how many values the grid has, or use the sampler sobol',
  });
}
