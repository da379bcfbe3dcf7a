import { expect, it } from 'vitest';
import { countKinds, recoveryOf, withRecovery } from '../../../../src/cli/chaos/resilience-report.ts';

const fault = (kind: 'kill' | 'kill-coordinator', atMs: number) => ({ kind, atMs, atSeconds: atMs / 1000, seconds: 0 });

it('recovery: is the time from a fault to the next committed step', () => {
  const steps = [1000, 2000, 5000].map((atMs, step) => ({ step, atMs }));
  const faults = withRecovery([fault('kill', 1500), fault('kill-coordinator', 2000), fault('kill', 6000)], steps);
  expect(faults.map(({ recoverySeconds }) => recoverySeconds)).toEqual([0.5, 3, undefined]);
  expect(recoveryOf(faults)).toEqual({ count: 2, median: 0.5, p99: 3, max: 3 });
  expect(recoveryOf([])).toEqual({ count: 0, median: 0, p99: 0, max: 0 });
  expect(countKinds(faults)).toEqual({ kill: 2, 'kill-coordinator': 1 });
});
