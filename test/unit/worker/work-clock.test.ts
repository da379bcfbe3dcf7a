import { describe, expect, it } from 'vitest';
import { createSweepWorkerMetrics, noTraces } from '../../../src/telemetry/index.ts';
import { WorkClock } from '../../../src/worker/index.ts';

describe('work clock', () => {
  it('time: is put down to what the worker does, and a trial to its outcome', async () => {
    const metrics = createSweepWorkerMetrics({ processMetrics: false });
    let nowMs = 0;
    const clock = new WorkClock(metrics, noTraces, () => nowMs);
    const after = (seconds: number, action: () => void) => {
      nowMs += seconds * 1000;
      action();
    };
    after(3, () => clock.claimed());
    after(2, () => clock.enter('training'));
    after(20, () => clock.enter('attacking'));
    after(5, () => clock.enter('committing'));
    after(1, () => clock.ended('measured'));
    after(4, () => clock.claimed());
    after(7, () => clock.update());
    const text = await metrics.render();
    const seconds = { idle: 7, starting: 9, training: 20, attacking: 5, committing: 1 };
    for (const [state, value] of Object.entries(seconds))
      expect(text).toContain(`deepdefense_sweep_worker_seconds_total{state="${state}"} ${value}\n`);
    expect(text).toContain('deepdefense_sweep_worker_trials_total{outcome="measured"} 1\n');
    expect(text).toContain('deepdefense_sweep_worker_trial_seconds_sum 28\n');
    expect(text).toContain('deepdefense_sweep_worker_claim_wait_seconds_sum 7\n');
    expect(text).toContain('deepdefense_sweep_worker_current_trial_seconds 7\n');
  });
});
