import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/index.ts';
import type { Observation } from '../../../../src/sweeps/index.ts';
import { bestOf, fromBestToWorst } from '../../../../src/sweeps/samplers/observation-order.ts';

/** On three rungs; losses on a coarse grid, so that ties are common; every seventh failed. */
function drawObservations(seed: number, objectives: number): Observation[] {
  const random = new Random('sweep', seed);
  return Array.from({ length: 60 }, (_, candidate) => ({
    candidate,
    point: [random.uniform()],
    rung: random.integer(3),
    losses: candidate % 7 === 3 ? undefined : Array.from({ length: objectives }, () => random.integer(12)),
  }));
}

const numbers = (observations: readonly Observation[]) => observations.map(({ candidate }) => candidate);

describe('best observations', () => {
  it.each([1, 2, 3])('are the first ones of the whole order, with %i objectives', (objectives) => {
    for (let seed = 0; seed < 10; seed++) {
      const observations = drawObservations(seed, objectives);
      for (const count of [0, 1, 5, 17, 40, 57, 60, 80])
        expect(numbers(bestOf(observations, count))).toEqual(numbers(fromBestToWorst(observations).slice(0, count)));
    }
  });

  it('are those that dominate the largest area together, when a front does not fit and hypervolume decides', () => {
    const losses = [
      [0, 10],
      [1, 9.9],
      [4, 4],
      [9.9, 1],
      [10, 0],
    ];
    const observations = losses.map((each, candidate): Observation => ({ candidate, point: [0], rung: 0, losses: each }));
    expect(numbers(bestOf(observations, 1, 'hypervolume'))).toEqual([2]);
    expect(numbers(bestOf(observations, 1, 'crowding'))).toEqual([0]);
  });
});
