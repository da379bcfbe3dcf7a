import { beforeEach, describe, expect, it } from 'vitest';
import { LeaseTable } from '../../../src/coordinator/leases.ts';

describe('lease table', () => {
  it('splits 8 units over 3 holders as contiguous ranges of nearly equal size', () => {
    const table = new LeaseTable(8);
    expect(table.grant([11, 12, 13], 'share', 0)).toEqual([
      { holder: 11, epoch: 1, ranges: [{ first: 0, count: 2 }] },
      { holder: 12, epoch: 1, ranges: [{ first: 2, count: 3 }] },
      { holder: 13, epoch: 1, ranges: [{ first: 5, count: 3 }] },
    ]);
    expect(table.freeUnits).toBe(0);
  });

  it('gives nothing to the holders beyond the number of units', () => {
    expect(new LeaseTable(2).grant([1, 2, 3], 1, 0).map(({ holder }) => holder)).toEqual([1, 2]);
    expect(
      new LeaseTable(2)
        .grant([1, 2, 3], 'share', 0)
        .flatMap(({ ranges }) => ranges)
        .reduce((sum, { count }) => sum + count, 0),
    ).toBe(2);
  });

  it('grants released units again, with their gaps, under a higher epoch', () => {
    const table = new LeaseTable(6);
    table.grant([1, 2, 3], 'share', 0);
    expect(table.release(1)).toEqual({ epoch: 1, ranges: [{ first: 0, count: 2 }] });
    expect(table.release(3)).toEqual({ epoch: 1, ranges: [{ first: 4, count: 2 }] });
    expect(table.release(3)).toBeUndefined();
    expect(table.grant([2], 'share', 5)).toEqual([
      {
        holder: 2,
        epoch: 2,
        ranges: [
          { first: 0, count: 2 },
          { first: 4, count: 2 },
        ],
      },
    ]);
  });

  it('calls an answer valid once, then a duplicate, and stale for others and after a release', () => {
    const table = new LeaseTable(4);
    table.grant([1, 2], 'share', 0);
    const range = { first: 0, count: 2 };
    expect(table.judge(range, 1, 1)).toBe('valid');
    expect(table.judge(range, 2, 1)).toBe('stale');
    expect(table.judge(range, 1, 0)).toBe('stale');
    expect(table.judge({ first: 1, count: 2 }, 1, 1)).toBe('stale');
    expect(table.judge({ first: 3, count: 2 }, 2, 1)).toBe('stale');
    expect(table.settle(range, 1)).toEqual([]);
    expect(table.judge(range, 1, 1)).toBe('duplicate');
    table.release(2);
    table.grant([1], 'share', 0);
    expect(table.judge({ first: 2, count: 2 }, 2, 1)).toBe('stale');
    expect(table.judge({ first: 2, count: 2 }, 1, 1)).toBe('stale');
    expect(table.judge({ first: 2, count: 2 }, 1, 2)).toBe('valid');
  });

  it('is complete when every unit is settled, and refuses to settle without a lease', () => {
    const table = new LeaseTable(2);
    expect(() => table.settle({ first: 0, count: 1 }, 1)).toThrow('without a lease');
    table.grant([1], 1, 0);
    table.settle({ first: 0, count: 1 }, 1);
    expect(table.complete).toBe(false);
    table.grant([1], 1, 0);
    table.settle({ first: 1, count: 1 }, 1);
    expect(table.complete).toBe(true);
  });

  it('knows the oldest grant and who holds leases since when', () => {
    const table = new LeaseTable(3);
    expect(table.oldestGrantMs()).toBeUndefined();
    table.grant([7], 1, 100);
    table.grant([5], 1, 250);
    expect(table.oldestGrantMs()).toBe(100);
    expect(table.heldSince(99)).toEqual([]);
    expect(table.heldSince(249)).toEqual([7]);
    expect(table.heldSince(250)).toEqual([5, 7]);
  });

  describe('with a speculative lease', () => {
    const part = { first: 2, count: 2 };
    let table: LeaseTable;
    beforeEach(() => {
      table = new LeaseTable(4);
      table.grant([1], 'share', 0);
      table.speculate(2, part, 50);
    });

    it('has a higher epoch and keeps the first lease valid', () => {
      expect(table.judge(part, 1, 1)).toBe('valid');
      expect(table.judge(part, 2, 2)).toBe('valid');
      expect(table.judge(part, 2, 1)).toBe('stale');
      expect(table.judge(part, 1, 2)).toBe('stale');
      expect(table.heldSince(50)).toEqual([1, 2]);
      expect(table.oldestGrantMs()).toBe(0);
    });

    it.each([
      [1, 2],
      [2, 1],
    ])('counts the answer of holder %i and calls that of holder %i superseded', (winner, loser) => {
      expect(table.settle(part, winner)).toEqual([loser]);
      expect(table.doneUnits).toBe(2);
      expect(table.judge(part, winner, winner)).toBe('duplicate');
      expect(table.judge(part, loser, loser)).toBe('superseded');
      expect(table.judge(part, loser, loser === 1 ? 2 : 1)).toBe('stale');
      expect(table.settled(part)).toBe(true);
      // What is done stays so, whoever leaves.
      table.release(winner);
      table.release(loser);
      expect(table.judge(part, loser, loser)).toBe('superseded');
      expect(table.freeUnits).toBe(loser === 1 || winner === 1 ? 2 : 0);
    });

    it('frees a unit only when both holders have lost it', () => {
      expect(table.release(1)).toEqual({ epoch: 1, ranges: [{ first: 0, count: 4 }] });
      expect(table.freeUnits).toBe(2);
      expect(table.judge(part, 1, 1)).toBe('stale');
      expect(table.judge(part, 2, 2)).toBe('valid');
      expect(table.release(2)).toEqual({ epoch: 2, ranges: [part] });
      expect(table.freeUnits).toBe(4);
      expect(table.grant([3], 'share', 60)[0]).toMatchObject({ epoch: 3, ranges: [{ first: 0, count: 4 }] });
    });

    it('has at most two holders, of units that are leased', () => {
      expect(table.canSpeculate(part)).toBe(false);
      expect(() => table.speculate(3, part, 60)).toThrow("can't be leased a second time");
      expect(table.canSpeculate({ first: 0, count: 2 })).toBe(true);
      expect(table.canSpeculate({ first: 1, count: 2 })).toBe(false);
      table.release(1);
      expect(table.canSpeculate({ first: 0, count: 2 })).toBe(false);
      expect(table.canSpeculate(part)).toBe(true);
      table.settle(part, 2);
      expect(table.canSpeculate(part)).toBe(false);
    });
  });
});
