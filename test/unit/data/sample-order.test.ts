import { describe, expect, it } from 'vitest';
import { SampleOrder } from '../../../src/data/sample-order.ts';

describe('SampleOrder', () => {
  it('gives every sample of an epoch exactly once', () => {
    const order = new SampleOrder(3, 101);
    for (const epoch of [0, 1, 5]) {
      const picks = order.range(epoch * 101, 101);
      expect(picks.every((pick) => pick.epoch === epoch)).toBe(true);
      expect(picks.map((pick) => pick.sample).sort((a, b) => a - b)).toEqual(Array.from({ length: 101 }, (_, i) => i));
    }
  });

  it('answers the same when positions are asked in any order', () => {
    const straight = new SampleOrder(9, 13).range(0, 65);
    const jumping = new SampleOrder(9, 13);
    for (let i = 0; i < 200; i++) {
      const position = (i * 37) % 65;
      expect(jumping.at(position)).toEqual(straight[position]);
    }
  });

  it('spans two epochs in one batch', () => {
    const picks = new SampleOrder(1, 10).range(8, 4);
    expect(picks.map((pick) => pick.epoch)).toEqual([0, 0, 1, 1]);
  });

  it('differs between epochs and seeds', () => {
    const samples = (seed: number, epoch: number): string =>
      new SampleOrder(seed, 50)
        .range(epoch * 50, 50)
        .map((pick) => pick.sample)
        .join();
    expect(new Set([samples(1, 0), samples(1, 1), samples(2, 0), samples(2, 1)]).size).toBe(4);
  });

  it('keeps its order over versions of the code', () => {
    // Weights of earlier runs depend on it.
    expect(new SampleOrder(1, 10).range(0, 20).map((pick) => pick.sample)).toEqual([
      2, 3, 0, 4, 6, 5, 7, 8, 9, 1, 7, 8, 3, 6, 5, 2, 1, 9, 4, 0,
    ]);
  });
});
