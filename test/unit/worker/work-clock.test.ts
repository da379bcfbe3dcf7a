import { describe, expect, it } from 'vitest';
import { createSweepWorkerMetrics, noTraces, openTraces } from '../../../src/telemetry/index.ts';
import { WorkClock } from '../../../src/worker/index.ts';
import { startOtlpReceiver } from '../../support/otlp-receiver.ts';

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

  it('traces: a trial has a span with what was done for it, in the trace of its measurement or in one of its own', async () => {
    const receiver = await startOtlpReceiver();
    const onProblem = (problem: string) => expect.fail(problem);
    const traces = await openTraces({ endpoint: receiver.url, stepRatio: 0, service: 'test', onProblem });
    const clock = new WorkClock(createSweepWorkerMetrics({ processMetrics: false }), traces);
    const [traceId, spanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
    clock.claimed({ trial: '61d2', rung: 1 }, `00-${traceId}-${spanId}-01`);
    expect(clock.traceparent).toMatch(new RegExp(`^00-${traceId}-`));
    clock.enter('training');
    clock.enter('training');
    clock.enter('committing');
    clock.ended('measured');
    clock.claimed({ trial: '70e3' });
    clock.ended('failed');
    clock.claimed({ trial: '8f4a' }, 'no trace context');
    expect(clock.traceparent).toBeUndefined();
    clock.ended('measured');
    await traces.close();
    await receiver.close();

    const trials = receiver.spans.filter(({ name }) => name === 'trial');
    expect(trials).toMatchObject([
      { traceId, parentSpanId: spanId, error: undefined, attributes: { 'deepdefense.trial': '61d2', 'deepdefense.rung': 1 } },
      { parentSpanId: '', error: 'failed', attributes: { 'deepdefense.trial': '70e3' } },
    ]);
    expect(trials[1]?.traceId).not.toBe(traceId);
    const partsOf = (trial: number) => receiver.spans.filter(({ parentSpanId }) => parentSpanId === trials[trial]?.spanId);
    expect(partsOf(0).map(({ name }) => name)).toEqual(['starting', 'training', 'committing']);
    expect(partsOf(1).map(({ name }) => name)).toEqual(['starting']);
  });
});
