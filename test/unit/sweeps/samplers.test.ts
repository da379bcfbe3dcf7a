import { describe, expect, it } from 'vitest';
import { type FunctionName, SAMPLER_NAMES, type SamplerName } from '../../../src/config/index.ts';
import { type Coordinate, createSampler, evaluateFunction, type Observation, type Point } from '../../../src/sweeps/index.ts';
import { FUNCTIONS } from '../../../src/sweeps/functions.ts';
import { eigenSymmetric } from '../../../src/sweeps/samplers/linear-algebra.ts';
import { sobolBits } from '../../../src/sweeps/samplers/sobol.ts';

const MIXED: readonly Coordinate[] = [
  { kind: 'unit', name: 'a', gridPoints: 4 },
  { kind: 'choice', name: 'b', choices: 3 },
  { kind: 'unit', name: 'c', gridPoints: 3 },
];

function samplerOf(name: SamplerName, coordinates: readonly Coordinate[], seed = 1, objectives = 1) {
  return createSampler(name, { coordinates, seed, objectives, startup: 5, population: undefined });
}

/** Losses by a formula, of the second rung for every third candidate, and one that failed. */
function observationsOf(points: readonly Point[], objectives: number): Observation[] {
  return points.map((point, candidate) => ({
    candidate,
    point,
    rung: candidate % 3 === 0 ? 1 : 0,
    losses:
      candidate === 4 ? undefined : Array.from({ length: objectives }, (_, k) => point.reduce((sum, value) => sum + (value - k) ** 2, 0)),
  }));
}

function lossesAfter(name: SamplerName, fn: FunctionName, dimensions: number, budget: number, seed: number): number {
  const sampler = samplerOf(
    name,
    Array.from({ length: dimensions }, (_, i) => ({ kind: 'unit', name: `x${i}`, gridPoints: undefined })),
    seed,
  );
  const observations: Observation[] = [];
  for (let candidate = 0; candidate < budget; candidate++) {
    const point = sampler.suggest({ candidate, attempt: 0, observations, pending: [] }) as Point;
    observations.push({ candidate, point, losses: evaluateFunction(fn, point), rung: 0 });
  }
  return Math.min(...observations.map(({ losses }) => losses?.[0] as number));
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;

describe.each(SAMPLER_NAMES)('sampler %s', (name) => {
  const startup = Array.from(
    { length: 24 },
    (_, candidate) => samplerOf('random', MIXED).suggest({ candidate, attempt: 0, observations: [], pending: [] }) as Point,
  );

  it.each([1, 2])(
    'suggests points of the space, the same for the same request, another for another attempt, with %i objectives',
    (objectives) => {
      const observations = observationsOf(startup, objectives);
      for (const candidate of [0, 1, 7, 24]) {
        const request = { candidate, attempt: 0, observations: observations.slice(0, candidate), pending: [startup[3] as Point] };
        const point = samplerOf(name, MIXED, 1, objectives).suggest(request);
        expect(samplerOf(name, MIXED, 1, objectives).suggest(request)).toEqual(point);
        expect(samplerOf(name, MIXED, 1, objectives).suggest({ ...request, attempt: 1 })).not.toEqual(point);
        for (const [i, coordinate] of MIXED.entries()) {
          const value = point?.[i] as number;
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThan(coordinate.kind === 'unit' ? 1 : coordinate.choices);
          if (coordinate.kind === 'choice') expect(Number.isInteger(value)).toBe(true);
        }
      }
    },
  );

  it('says whether it learns', () => {
    const sampler = samplerOf(name, MIXED);
    const ask = (seen: readonly Point[]) =>
      sampler.suggest({ candidate: 24, attempt: 0, observations: observationsOf(seen, 1), pending: [] });
    // The losses of two different sets of points.
    expect(JSON.stringify(ask(startup)) !== JSON.stringify(ask(startup.toReversed()))).toBe(sampler.learns);
  });
});

describe('samplers that learn', () => {
  it.each(['tpe', 'cma-es', 'nsga2', 'gp'] as const)('%s finds less than random points do, in median', (name) => {
    const seeds = Array.from({ length: name === 'gp' ? 3 : 11 }, (_, i) => i);
    const budget = name === 'gp' ? 40 : 80;
    const found = (sampler: SamplerName) => median(seeds.map((seed) => lossesAfter(sampler, 'rosenbrock', 3, budget, seed)));
    expect(found(name)).toBeLessThan(found('random') / 2);
  });

  it('tpe does not suggest again what is under way', () => {
    const coordinates: readonly Coordinate[] = [{ kind: 'unit', name: 'x', gridPoints: undefined }];
    const observations = Array.from(
      { length: 20 },
      (_, candidate): Observation => ({ candidate, point: [candidate / 20], losses: [(candidate / 20 - 0.5) ** 2], rung: 0 }),
    );
    const near = (pending: readonly Point[]) => {
      const points = Array.from(
        { length: 40 },
        (_, i) => samplerOf('tpe', coordinates).suggest({ candidate: 20 + i, attempt: 0, observations, pending })?.[0] as number,
      );
      return points.filter((x) => Math.abs(x - 0.5) < 0.05).length;
    };
    expect(near(Array.from({ length: 15 }, () => [0.5]))).toBeLessThan(near([]) / 2);
  });
});

describe('Sobol points', () => {
  it('without scrambling are those of Joe and Kuo in Gray code order', () => {
    // scipy.stats.qmc.Sobol(40, scramble=False) of scipy 1.17.1, points 3, 5 and 7 in dimensions 0, 1, 2, 5, 20 and 39.
    const at = (index: number) => [0, 1, 2, 5, 20, 39].map((dimension) => sobolBits(index, dimension) / 2 ** 32);
    expect([3, 5, 7].map(at)).toEqual([
      [0.25, 0.75, 0.75, 0.25, 0.75, 0.75],
      [0.875, 0.875, 0.125, 0.625, 0.625, 0.375],
      [0.125, 0.625, 0.375, 0.375, 0.875, 0.125],
    ]);
  });

  it('scrambled lie in each of 64 boxes once', () => {
    const sampler = samplerOf('sobol', [MIXED[0] as Coordinate, MIXED[2] as Coordinate]);
    const boxes = Array.from({ length: 64 }, (_, candidate) => {
      const [x = 0, y = 0] = sampler.suggest({ candidate, attempt: 0, observations: [], pending: [] }) as Point;
      return Math.floor(x * 8) * 8 + Math.floor(y * 8);
    });
    expect(new Set(boxes).size).toBe(64);
  });
});

describe('test functions', () => {
  it.each([
    ['sphere', [0.5, 0.5, 0.5]],
    ['rosenbrock', [0.4, 0.4, 0.4]],
    ['branin', [(Math.PI + 5) / 15, 2.275 / 15]],
    ['hartmann6', [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]],
    ['ackley', [0.5, 0.5]],
    ['rastrigin', [0.5, 0.5]],
    ['levy', [0.55, 0.55]],
  ] as const)('%s has its optimum where it is said to be', (name, x) => {
    expect(evaluateFunction(name, x)[0]).toBeCloseTo(FUNCTIONS[name].optimum as number, 4);
  });
});

describe('eigenvectors', () => {
  it('rebuild the matrix and are orthonormal', () => {
    const matrix = [
      [4, 1, -2],
      [1, 3, 0.5],
      [-2, 0.5, 5],
    ];
    const { values, vectors } = eigenSymmetric(matrix);
    for (const [i, row] of matrix.entries())
      for (const [j, value] of row.entries()) {
        const rebuilt = values.reduce((sum, lambda, k) => sum + lambda * (vectors[i]?.[k] as number) * (vectors[j]?.[k] as number), 0);
        expect(rebuilt).toBeCloseTo(value, 10);
        const dot = vectors.reduce((sum, v) => sum + (v[i] as number) * (v[j] as number), 0);
        expect(dot).toBeCloseTo(i === j ? 1 : 0, 10);
      }
  });
});
