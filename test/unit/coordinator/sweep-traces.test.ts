/** @file Traces of a sweep: its coordinator's spans of measurements, and its workers' spans of trials inside them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadSweep } from '../../../src/config/index.ts';
import { startSweep } from '../../../src/coordinator/index.ts';
import { openRemoteSource } from '../../../src/queue/index.ts';
import { createLogger, createSweepWorkerMetrics, noTraces, openTraces, type Traces } from '../../../src/telemetry/index.ts';
import { runClaimLoop, WorkClock } from '../../../src/worker/index.ts';
import { startOtlpReceiver } from '../../support/otlp-receiver.ts';

const SWEEP = `
function: branin
space: {x1: {type: float, low: 0, high: 1}, x2: {type: float, low: 0, high: 1}}
objectives: [{name: value}]
sampler: {name: random}
budget: {candidates: 3}
`;
const logger = createLogger({ level: 'silent' });

async function start(traces: Traces | undefined) {
  const folder = await mkdtemp(join(tmpdir(), 'sweep-traces-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'sweep.yaml');
  await writeFile(file, SWEEP);
  return startSweep({
    source: await loadSweep({ file }),
    folder: join(folder, 'sweep'),
    sweepId: 's1',
    dataset: { name: '', contentHash: '' },
    ...{ host: '127.0.0.1', port: 0, httpPort: 0, logger, traces },
  });
}

/** Works until the sweep is over; candidate 1 gives no figure. @returns the payloads of the tasks */
async function work(address: string, traces: Traces): Promise<readonly Record<string, unknown>[]> {
  const source = await openRemoteSource({ address });
  const clock = new WorkClock(createSweepWorkerMetrics({ processMetrics: false }), traces);
  const payloads: Record<string, unknown>[] = [];
  const run = async ({ task }: { task: { payload: string } }) => {
    payloads.push(JSON.parse(task.payload) as Record<string, unknown>);
    clock.enter('training');
    const details = payloads.length === 2 ? {} : { value: payloads.length };
    return { result: JSON.stringify({ details, seconds: 0, engine: '' }), diverged: false };
  };
  await runClaimLoop({ source, worker: 'w-1-abc', run, logger, clock, signal: new AbortController().signal });
  await source.close();
  return payloads;
}

async function receive() {
  const receiver = await startOtlpReceiver();
  // OpenTelemetry has one logger per process and says so when a second one is given.
  const open = (service: string) => openTraces({ endpoint: receiver.url, stepRatio: 0, service, onProblem: () => {} });
  return { receiver, open };
}

describe('traces of a sweep', () => {
  it('measurement: has a span of the coordinator from publication to journal, and the trial of the worker in it', async () => {
    const { receiver, open } = await receive();
    const [coordinator, worker] = [await open('deepdefense-sweep'), await open('deepdefense-worker')];
    const sweep = await start(coordinator);
    const payloads = await work(sweep.address, worker);
    await sweep.result;
    await Promise.all([coordinator.close(), worker.close()]);
    await receiver.close();

    const measurements = receiver.spans.filter(({ name }) => name === 'measurement');
    expect(measurements.map(({ parentSpanId, service }) => [parentSpanId, service])).toEqual(
      Array.from({ length: 3 }, () => ['', 'deepdefense-sweep']),
    );
    expect(new Set(measurements.map(({ attributes }) => attributes['deepdefense.candidate']))).toEqual(new Set([0, 1, 2]));
    expect(measurements.map(({ error }) => error).filter((error) => error !== undefined)).toEqual(['CONFIG_INVALID']);
    for (const { traceId, spanId, startMs, endMs, attributes } of measurements) {
      const [trial, ...others] = receiver.spans.filter(({ parentSpanId }) => parentSpanId === spanId);
      expect(others).toEqual([]);
      expect(trial).toMatchObject({ name: 'trial', traceId, service: 'deepdefense-worker' });
      expect(trial?.startMs).toBeGreaterThanOrEqual(startMs);
      // The worker hears of the commit when it is in the journal.
      expect(trial?.endMs).toBeGreaterThanOrEqual(endMs);
      expect(attributes).toMatchObject({ 'deepdefense.sweep': 's1', 'deepdefense.rung': 0 });
      const parts = receiver.spans.filter(({ parentSpanId }) => parentSpanId === trial?.spanId).map(({ name }) => name);
      expect(parts).toEqual(['starting', 'training', 'committing']);
    }
    expect(payloads.every(({ traceparent }) => typeof traceparent === 'string')).toBe(true);
  });

  it('measurement: that nobody has done when the sweep stops ends with the reason', async () => {
    const { receiver, open } = await receive();
    const traces = await open('deepdefense-sweep');
    const sweep = await start(traces);
    await sweep.stop('the test is over');
    await traces.close();
    await receiver.close();
    expect(receiver.spans.map(({ name, error }) => [name, error])).toEqual(Array.from({ length: 3 }, () => ['measurement', 'stopped']));
  });

  it('off: tasks carry no trace context', async () => {
    const sweep = await start(undefined);
    const payloads = await work(sweep.address, noTraces);
    expect((await sweep.result).state).toBe('completed');
    expect(payloads).toHaveLength(3);
    for (const payload of payloads) expect(payload).not.toHaveProperty('traceparent');
  });
});
