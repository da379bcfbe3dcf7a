import { expect, it } from 'vitest';
import {
  countKinds,
  describeResilience,
  recoveryOf,
  type ResilienceReport,
  withRecovery,
} from '../../../../src/cli/chaos/resilience-report.ts';

const fault = (kind: 'kill' | 'kill-coordinator', atMs: number) => ({ kind, atMs, atSeconds: atMs / 1000, seconds: 0 });

it('recovery: is the time from a fault to the next committed step', () => {
  const steps = [1000, 2000, 5000].map((atMs, step) => ({ committed: step, atMs }));
  const faults = withRecovery([fault('kill', 1500), fault('kill-coordinator', 2000), fault('kill', 6000)], steps);
  expect(faults.map(({ recoverySeconds }) => recoverySeconds)).toEqual([0.5, 3, undefined]);
  expect(recoveryOf(faults)).toEqual({ count: 2, median: 0.5, p99: 3, max: 3 });
  expect(recoveryOf([])).toEqual({ count: 0, median: 0, p99: 0, max: 0 });
  expect(countKinds(faults)).toEqual({ kill: 2, 'kill-coordinator': 1 });
});

it('description: has the worker time of the run, and of the undisturbed one what was useful', () => {
  const none = recoveryOf([]);
  const goodput = { seconds: { useful: 6, recomputed: 1, coordinator: 3 }, usefulShare: 0.6 } as ResilienceReport['goodput'];
  const report = {
    ...{ steps: 10, seconds: 5, workers: 2, seed: 1, faults: {}, recovery: none, coordinatorRecovery: none, passed: true, goodput },
    ...{ audit: { passed: true, checks: [] } as unknown as ResilienceReport['audit'], coordinatorRestarts: 1, recomputedSteps: 2 },
    ...{ runFolder: 'r', weightsSha256: 'abc' },
  };
  const reference = { weightsSha256: 'abc', seconds: 4, sameWeights: true, goodput: { ...goodput, usefulShare: 0.842 } };
  expect(describeResilience(report)).toContain('\nworker time 60 % useful, 10 % recomputed, 30 % coordinator\n');
  expect(describeResilience({ ...report, reference, throughputKept: 0.8 })).toContain('30 % coordinator; undisturbed 84 % useful\n');
});
