import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/index.ts';
import { type Coordinate, createSampler, evaluateFunction, type Observation, type Point } from '../../../../src/sweeps/index.ts';
import { CmaDistribution } from '../../../../src/sweeps/samplers/cma-distribution.ts';

function smallestOf(fn: (x: readonly number[]) => number, n: number, generations: number, seed: number): number {
  const lambda = 4 + Math.floor(3 * Math.log(n));
  const random = new Random('sweep', seed);
  const distribution = new CmaDistribution(n, lambda);
  let smallest = Number.POSITIVE_INFINITY;
  for (let generation = 0; generation < generations; generation++) {
    const points = Array.from({ length: lambda }, () => distribution.draw(random)).toSorted((a, b) => fn(a) - fn(b));
    smallest = Math.min(smallest, fn(points[0] as number[]));
    distribution.update(points);
  }
  return smallest;
}

describe('CMA-ES', () => {
  it('converges on a shifted sphere within 150 evaluations per coordinate', () => {
    for (let seed = 0; seed < 5; seed++)
      expect(smallestOf((x) => x.reduce((sum, value, i) => sum + (value - 0.3 - 0.1 * i) ** 2, 0), 4, 75, seed)).toBeLessThan(1e-9);
  });

  it('learns the curved valley of rosenbrock', () => {
    for (let seed = 0; seed < 5; seed++)
      expect(smallestOf((x) => evaluateFunction('rosenbrock', x)[0] as number, 2, 120, seed)).toBeLessThan(1e-6);
  });

  it('suggests the same whether it has seen the earlier requests or not', () => {
    const coordinates: readonly Coordinate[] = ['a', 'b'].map((name) => ({ kind: 'unit', name, gridPoints: undefined }));
    const create = () => createSampler('cma-es', { coordinates, seed: 3, objectives: 1, startup: 10, population: 5 });
    const asked = create();
    const observations: Observation[] = [];
    for (let candidate = 0; candidate < 23; candidate++) {
      const request = { candidate, attempt: 0, observations: [...observations], pending: [] };
      const point = asked.suggest(request) as Point;
      expect(create().suggest(request)).toEqual(point);
      observations.push({ candidate, point, losses: evaluateFunction('branin', point), rung: 0 });
    }
    // A candidate of an early generation is measured again, on a higher rung.
    const changed = observations.with(1, { ...(observations[1] as Observation), rung: 1, losses: [-100] });
    for (const each of [changed, observations, observations.slice(0, 7)]) {
      const request = { candidate: 30, attempt: 0, observations: each, pending: [] };
      expect(asked.suggest(request)).toEqual(create().suggest(request));
    }
  });
});
