import { describe, expect, it } from 'vitest';
import type { SamplerName } from '../../../../src/config/index.ts';
import { hypervolume } from '../../../../src/sweeps/dominance.ts';
import { type Coordinate, createSampler, type Observation, type Point } from '../../../../src/sweeps/index.ts';

/** Two bells in a flat plain (Fonseca and Fleming 1995); the front is hard to find by chance. */
function fonseca(x: Point): readonly number[] {
  const z = x.map((value) => 8 * value - 4);
  const shift = 1 / Math.sqrt(z.length);
  return [-1, 1].map((side) => 1 - Math.exp(-z.reduce((sum, value) => sum + (value + side * shift) ** 2, 0)));
}

function volumeAfter(name: SamplerName, budget: number, seed: number): number {
  const coordinates = Array.from({ length: 4 }, (_, i): Coordinate => ({ kind: 'unit', name: `x${i}`, gridPoints: undefined }));
  const sampler = createSampler(name, { coordinates, seed, objectives: 2, startup: 10, population: undefined });
  const observations: Observation[] = [];
  for (let candidate = 0; candidate < budget; candidate++) {
    const point = sampler.suggest({ candidate, attempt: 0, observations, pending: [] }) as Point;
    observations.push({ candidate, point, losses: fonseca(point), rung: 0 });
  }
  return hypervolume(
    observations.map(({ losses }) => losses as readonly number[]),
    [1.1, 1.1],
  );
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;

describe('samplers with two objectives', () => {
  // gp would be near the random points if its weights were applied to standard scores.
  it.each([
    ['tpe', 9, 60],
    ['nsga2', 9, 100],
    ['gp', 5, 40],
  ] as const)('%s dominates more than random points do, in median', (name, seeds, budget) => {
    const found = (sampler: SamplerName) => median(Array.from({ length: seeds }, (_, seed) => volumeAfter(sampler, budget, seed)));
    expect(found(name)).toBeGreaterThan(1.5 * found('random'));
  });
});
