import { expect, it } from 'vitest';
import type { Job } from '../../../src/coordinator/job.ts';
import { describeShortDeadline, describeWaiting } from '../../../src/coordinator/pool-watcher.ts';

const job = (parts: Partial<Job>) => parts as Job;
const waiting = { job: job({ kind: 'evaluate' }), needed: 3, ready: 1, preparing: 0, silent: 0, lastFailure: undefined };

it('a wait says how many workers are ready and missing, and how to start some', () => {
  expect(describeWaiting(waiting, 'host:1')).toBe(
    'evaluate waits for workers: 1 of 3 ready, 2 missing, 0 preparing; start some with: deepdefense worker --coordinator host:1',
  );
  expect(describeWaiting({ ...waiting, preparing: 1, silent: 1 }, 'host:1')).toContain('1 preparing; 1 silent; start some');
  expect(describeWaiting({ ...waiting, preparing: 2, job: job({ kind: 'train', step: 7 }) }, 'host:1')).toBe(
    'step 7 waits for workers: 1 of 3 ready, 2 missing, 2 preparing',
  );
});

it('a deadline that the work exceeds is named with a value to set, per ordinary step', () => {
  expect(describeShortDeadline(job({ kind: 'train', step: 7, deadlineFactor: 5 }), 10_000)).toBe(
    'step 7: leases were taken back after 10000 ms, though no worker is known to be slower than the others; ' +
      'cluster.stepDeadlineMs is too short for this work: set it to 8000 or more',
  );
});
