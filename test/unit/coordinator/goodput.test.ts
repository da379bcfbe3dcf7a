import { beforeEach, describe, expect, it } from 'vitest';
import { Goodput, noTime, WORKER_TIMES } from '../../../src/coordinator/goodput.ts';

let goodput: Goodput;

beforeEach(() => {
  goodput = new Goodput();
});

/** Classes that have any time, in seconds. */
function seconds(nowMs: number): Record<string, number> {
  return Object.fromEntries(Object.entries(goodput.report(nowMs).seconds).filter(([, value]) => value !== 0));
}

describe('goodput', () => {
  it('has no time and no useful share at first', () => {
    expect(Object.keys(goodput.report(0).seconds)).toEqual([...WORKER_TIMES]);
    expect(goodput.report(5_000)).toMatchObject({ usefulShare: 0, seconds: { useful: 0, idle: 0 } });
  });

  it('goes on from the time of earlier processes', () => {
    goodput = new Goodput({ ...noTime(), useful: 6, recomputed: 2 });
    goodput.turn(1, 'idle', 1_000);
    expect(seconds(3_000)).toEqual({ useful: 6, recomputed: 2, idle: 2 });
    expect(goodput.report(3_000).usefulShare).toBe(0.6);
    expect(goodput.ownSeconds(3_000)).toEqual({ ...noTime(), idle: 2 });
  });

  it('splits the time to an answer into computation and messages', () => {
    goodput.turn(1, 'training', 1_000);
    expect(seconds(9_000)).toEqual({});
    goodput.answered(1, 3_000, true, 5_000);
    goodput.turn(1, 'stragglers', 5_000);
    goodput.turn(1, 'coordinator', 7_000);
    expect(seconds(8_000)).toEqual({ useful: 3, coordinator: 2, stragglers: 2 });
    expect(goodput.report(8_000).usefulShare).toBe(3 / 7);
  });

  it('lets a late answer claim time that passed before the one in front of it came', () => {
    goodput.turn(1, 'training', 0);
    goodput.answered(1, 1_000, true, 3_000);
    // Computed while the first answer was on its way.
    goodput.answered(1, 2_000, true, 3_500);
    goodput.turn(1, 'stragglers', 3_500);
    expect(seconds(3_500)).toEqual({ useful: 3, coordinator: 0.5 });
  });

  it('never counts more computation than time has passed', () => {
    goodput.turn(1, 'training', 0);
    goodput.answered(1, 9_000, true, 1_000);
    goodput.answered(1, -5, true, 2_000);
    goodput.leave(1, 2_000);
    expect(seconds(2_000)).toEqual({ useful: 1, coordinator: 1 });
  });

  it('calls answers that do not count, and work without an answer, recomputed', () => {
    goodput.turn(1, 'training', 0);
    goodput.answered(1, 1_000, false, 1_500);
    goodput.turn(2, 'training', 0);
    goodput.leave(2, 2_000);
    goodput.turn(3, 'evaluating', 0);
    goodput.turn(3, 'recomputed', 500);
    // It was cancelled: its late answer changes nothing.
    goodput.answered(3, 900, true, 1_000);
    goodput.leave(1, 1_500);
    goodput.leave(3, 1_000);
    expect(seconds(2_000)).toEqual({ recomputed: 1 + 2 + 1, coordinator: 0.5 });
  });

  it('counts evaluations as a whole', () => {
    goodput.turn(1, 'evaluating', 0);
    goodput.answered(1, 600, true, 1_000);
    goodput.turn(1, 'evaluation', 1_000);
    expect(seconds(3_000)).toEqual({ evaluation: 3 });
  });

  it('adds up to the time of all workers, and stays where a clock is set back', () => {
    goodput.turn(1, 'preparing', 0);
    goodput.turn(2, 'idle', 500);
    goodput.turn(1, 'training', 1_000);
    goodput.answered(1, 250, true, 2_000);
    goodput.turn(1, 'checkpointing', 2_000);
    goodput.leave(2, 2_500);
    goodput.leave(2, 9_000);
    expect(Object.values(seconds(3_000)).reduce((sum, value) => sum + value, 0)).toBe(3 + 2);
    expect(seconds(1_000)).toEqual({ ...seconds(2_000) });
  });
});
