import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/index.ts';
import {
  crowdingDistances,
  dominates,
  firstFronts,
  hypervolume,
  hypervolumeContributions,
  largestHypervolume,
  paretoRanks,
} from '../../../src/sweeps/dominance.ts';

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

describe('first fronts', () => {
  it.each([1, 2, 3])('are those of the ranks, as many as are needed, with %i objectives', (objectives) => {
    for (let seed = 0; seed < 10; seed++) {
      const losses = drawLosses(seed, 40, objectives).filter((each) => each !== undefined);
      const ranks = paretoRanks(losses);
      for (const count of [0, 1, 9, 36, 99]) {
        const fronts = firstFronts(losses, count);
        for (const [rank, front] of fronts.entries()) expect(front).toEqual(ranks.flatMap((own, i) => (own === rank ? [i] : [])));
        const sizes = fronts.map((front) => front.length);
        const total = sizes.reduce((sum, size) => sum + size, 0);
        expect(total).toBeGreaterThanOrEqual(Math.min(count, losses.length));
        expect(total - (sizes.at(-1) ?? 0)).toBeLessThan(Math.max(count, 1));
      }
    }
  });
});

describe('subset of a front', () => {
  it('is the greedy one, and at least 63% of the best', () => {
    for (let seed = 0; seed < 10; seed++) {
      const random = new Random('sweep', 77, seed);
      const drawn = Array.from({ length: 40 }, () => Array.from({ length: 3 }, () => random.uniform()));
      const front = (firstFronts(drawn, 1)[0] ?? []).map((i) => drawn[i] as number[]).slice(0, 10);
      const reference = [0, 1, 2].map((k) => {
        const values = front.map((each) => each[k] as number);
        return Math.max(...values) + 0.5 * (Math.max(...values) - Math.min(...values));
      });
      const volumeOf = (indices: readonly number[]) =>
        hypervolume(
          indices.map((i) => front[i] as number[]),
          reference,
        );
      const greedy: number[] = [];
      while (greedy.length < 3) {
        const open = front.map((_, i) => i).filter((i) => !greedy.includes(i));
        greedy.push(open.reduce((a, b) => (volumeOf([...greedy, b]) > volumeOf([...greedy, a]) ? b : a)));
      }
      const chosen = largestHypervolume(front, 3);
      expect(chosen).toEqual(greedy);
      let best = 0;
      for (let a = 0; a < front.length; a++)
        for (let b = 0; b < a; b++) for (let c = 0; c < b; c++) best = Math.max(best, volumeOf([a, b, c]));
      expect(volumeOf(chosen)).toBeGreaterThanOrEqual(0.63 * best);
    }
  });
});
