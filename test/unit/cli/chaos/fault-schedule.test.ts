import { describe, expect, it } from 'vitest';
import { type ScheduleOptions, scheduleFaults } from '../../../../src/cli/chaos/fault-schedule.ts';

const OPTIONS: ScheduleOptions = { seed: 3, seconds: 1800, workers: 8, faultsPerMinute: 2, coordinatorKills: 5 };

describe('fault schedule', () => {
  it('is a function of its seed', () => {
    expect(scheduleFaults(OPTIONS)).toEqual(scheduleFaults(OPTIONS));
    expect(scheduleFaults(OPTIONS)).not.toEqual(scheduleFaults({ ...OPTIONS, seed: 4 }));
  });

  it('has as many faults as asked for, in order, of every kind, and a quiet end', () => {
    const faults = scheduleFaults(OPTIONS);
    expect(faults.filter(({ kind }) => kind === 'kill-coordinator')).toHaveLength(5);
    expect(faults).toHaveLength(57 + 5);
    expect(faults.map(({ atSeconds }) => atSeconds)).toEqual(faults.map(({ atSeconds }) => atSeconds).sort((a, b) => a - b));
    expect(faults.at(-1)?.atSeconds).toBeLessThan(1710);
    expect(new Set(faults.map(({ kind }) => kind)).size).toBe(8);
    for (const { kind, worker } of faults) {
      const ofWorker = !['kill-coordinator', 'slow-disk', 'full-disk'].includes(kind);
      expect(worker === undefined).toBe(!ofWorker);
      if (ofWorker) expect([1, 2, 3, 4, 5, 6, 7, 8]).toContain(worker);
    }
  });

  it('may be empty', () => {
    expect(scheduleFaults({ ...OPTIONS, faultsPerMinute: 0, coordinatorKills: 0 })).toEqual([]);
  });
});
