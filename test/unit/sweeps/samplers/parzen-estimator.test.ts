import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/index.ts';
import type { Coordinate } from '../../../../src/sweeps/index.ts';
import { ParzenEstimator } from '../../../../src/sweeps/samplers/parzen-estimator.ts';

const COORDINATES: readonly Coordinate[] = [
  { kind: 'unit', name: 'x', gridPoints: undefined },
  { kind: 'choice', name: 'c', choices: 3 },
];
const POINTS = [
  [0.1, 0],
  [0.15, 0],
  [0.7, 2],
];
const CELLS = 50;

describe('Parzen estimator', () => {
  const estimator = new ParzenEstimator(COORDINATES, POINTS);

  it('integrates to one over units and choices', () => {
    let total = 0;
    for (let choice = 0; choice < 3; choice++)
      for (let i = 0; i < 1000; i++) total += Math.exp(estimator.logDensity([(i + 0.5) / 1000, choice])) / 1000;
    expect(total).toBeCloseTo(1, 5);
  });

  it('draws with its density', () => {
    const random = new Random('sweep', 8);
    const draws = 40_000;
    const counts = new Float64Array(CELLS * 3);
    for (let i = 0; i < draws; i++) {
      const [x = 0, choice = 0] = estimator.draw(random);
      const cell = choice * CELLS + Math.floor(x * CELLS);
      counts[cell] = (counts[cell] as number) + 1;
    }
    // Chi-squared with 149 degrees of freedom: mean 149, deviation 17.
    const chiSquared = counts.reduce((sum, count, cell) => {
      const x = ((cell % CELLS) + 0.5) / CELLS;
      const expected = (draws * Math.exp(estimator.logDensity([x, Math.floor(cell / CELLS)]))) / CELLS;
      return sum + (count - expected) ** 2 / expected;
    }, 0);
    expect(chiSquared).toBeGreaterThan(149 - 5 * 17);
    expect(chiSquared).toBeLessThan(149 + 5 * 17);
  });

  it('is uniform without points', () => {
    const empty = new ParzenEstimator(COORDINATES, []);
    expect(empty.logDensity([0.3, 1])).toBeCloseTo(Math.log(1 / 3), 12);
  });
});
