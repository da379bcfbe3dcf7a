import { beforeEach, describe, expect, it } from 'vitest';
import { Quarantine } from '../../../src/coordinator/quarantine.ts';

let quarantine: Quarantine;

beforeEach(() => {
  quarantine = new Quarantine();
});

function answer(tasks: number): void {
  for (let i = 0; i < tasks; i++) quarantine.answered('a');
}

describe('quarantine', () => {
  it('lasts 2 s after the first incident and is each worker’s own', () => {
    expect(quarantine.incident('a', 1_000)).toBe(2_000);
    expect(quarantine.untilMs('a', 1_000)).toBe(3_000);
    expect(quarantine.untilMs('a', 2_999)).toBe(3_000);
    expect(quarantine.untilMs('a', 3_000)).toBeUndefined();
    expect(quarantine.untilMs('b', 1_000)).toBeUndefined();
  });

  it('doubles with each incident, up to 5 minutes', () => {
    const lengths = Array.from({ length: 10 }, (_, i) => quarantine.incident('a', i * 1_000_000) / 1_000);
    expect(lengths).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  });

  it('halves again after 20 answered tasks, counted from the last incident', () => {
    for (let i = 0; i < 3; i++) quarantine.incident('a', 0);
    answer(19);
    expect(quarantine.incident('a', 0)).toBe(16_000);
    answer(20);
    expect(quarantine.incident('a', 0)).toBe(16_000);
    answer(40);
    expect(quarantine.incident('a', 0)).toBe(8_000);
  });

  it('forgets a worker that did well for long, but not before its quarantine is over', () => {
    quarantine.incident('a', 0);
    answer(20);
    expect(quarantine.untilMs('a', 0)).toBe(2_000);
    answer(20);
    expect(quarantine.incident('a', 5_000)).toBe(2_000);
  });
});
