import { expect, it } from 'vitest';
import { Pace } from '../../../src/coordinator/pace.ts';

it('calls a lease late after twice the mean time of its units, and never before 100 ms', () => {
  const pace = new Pace();
  expect(pace.lateAfterMs(1)).toBeUndefined();
  pace.add(300, 2);
  pace.add(100, 2);
  expect(pace.lateAfterMs(3)).toBe(600);
  pace.add(0, 1_000);
  expect(pace.lateAfterMs(3)).toBe(100);
});

it('forgets older steps by and by', () => {
  const pace = new Pace();
  pace.add(1_000, 1);
  pace.fade();
  pace.add(4_000, 1);
  // (500 + 4000) ms / 1.5 units
  expect(pace.lateAfterMs(1)).toBe(6_000);
});
