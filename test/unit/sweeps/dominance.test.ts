import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/index.ts';
import { crowdingDistances, dominates, hypervolume, hypervolumeContributions, paretoRanks } from '../../../src/sweeps/dominance.ts';

/** Losses on a coarse grid, so that ties are common; every ninth is that of a failed candidate. */
function drawLosses(seed: number, count: number, objectives: number): (readonly number[] | undefined)[] {
  const random = new Random('sweep', seed);
  return Array.from({ length: count }, (_, i) => (i % 9 === 8 ? undefined : Array.from({ length: objectives }, () => random.integer(6))));
}

describe('Pareto ranks', () => {
  it.each([1, 2, 3, 4])('are those of peeling front after front, with %i objectives', (objectives) => {
    for (let seed = 0; seed < 20; seed++) {
      const losses = drawLosses(seed, 40, objectives);
      const expected = losses.map(() => -1);
      for (let rank = 0; expected.includes(-1); rank++) {
        const open = expected.flatMap((value, i) => (value === -1 ? [i] : []));
        for (const i of open) if (!open.some((j) => dominates(losses[j], losses[i]))) expected[i] = rank;
      }
      expect(paretoRanks(losses)).toEqual(expected);
    }
  });
});

describe('crowding distance', () => {
  it('is the sum of the neighbours’ distances in units of the range, and infinite at the ends', () => {
    const front = [
      [0, 10],
      [1, 6],
      [3, 4],
      [10, 0],
    ];
    expect(crowdingDistances(front)).toEqual([Number.POSITIVE_INFINITY, 3 / 10 + 6 / 10, 9 / 10 + 6 / 10, Number.POSITIVE_INFINITY]);
  });
});

describe('hypervolume', () => {
  it('is the area of two rectangles that overlap', () => {
    expect(
      hypervolume(
        [
          [1, 3],
          [2, 1],
        ],
        [4, 5],
      ),
    ).toBe(3 * 2 + 2 * 4 - 2 * 2);
    expect(hypervolume([[5, 0]], [4, 5])).toBe(0);
  });

  it.each([2, 3, 4])('agrees with counting cells, with %i objectives', (objectives) => {
    const reference = Array.from({ length: objectives }, () => 6);
    for (let seed = 0; seed < 5; seed++) {
      const losses = drawLosses(seed, 8, objectives).filter((each) => each !== undefined);
      let cells = 0;
      for (let cell = 0; cell < 6 ** objectives; cell++) {
        const corner = reference.map((_, i) => Math.floor(cell / 6 ** i) % 6);
        if (losses.some((each) => each.every((value, i) => value <= (corner[i] as number)))) cells += 1;
      }
      expect(hypervolume(losses, reference)).toBe(cells);
    }
  });

  it('splits into what each vector adds', () => {
    const losses = [
      [1, 3],
      [2, 1],
      [3, 3],
    ];
    expect(hypervolumeContributions(losses, [4, 5])).toEqual([2, 4, 0]);
  });
});
