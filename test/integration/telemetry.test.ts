/** @file Traces and logs of real processes. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { CommandFolder } from './support/command.ts';
import { freePort } from './support/processes.ts';

const RUN = `
name: told
data: {source: synthetic, trainSamples: 320, testSamples: 50}
model: {name: cnn3}
train: {batchSize: 32, maxSteps: 6}
evaluation: {epsLinf: [0.03], robustSamples: 20, attacks: [fgsm]}
cluster: {minWorkers: 2}
`;

const SWEEP = `
function: branin
space: {x1: {type: float, low: 0, high: 1}, x2: {type: float, low: 0, high: 1}}
objectives: [{name: value}]
sampler: {name: random}
budget: {candidates: 3}
`;

let folder: CommandFolder;
let receiver: OtlpReceiver;
beforeEach(async () => {
  folder = await CommandFolder.create();
  receiver = await startOtlpReceiver();
  await writeFile(join(folder.path, 'run.yaml'), RUN);
});
afterEach(async () => {
  await folder.close();
  await receiver.close();
});

describe('telemetry', () => {
  it('traces: one of a step has spans of the coordinator and of two worker processes; logs are JSON and say whose', {
    timeout: 240_000,
  }, async () => {
    const options = ['--otlp-endpoint', receiver.url, '--trace-ratio', '1', '--log-format', 'json'];
    const run = await folder.run(...options, 'train', '-c', 'run.yaml', '--workers', '2');
    expect(run).toMatchObject({ code: 0 });

    const steps = receiver.spans.filter(({ name, parentSpanId }) => name === 'step' && parentSpanId === '');
    expect(steps.map(({ attributes }) => Number(attributes['deepdefense.step'])).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
    const step = steps.find(({ attributes }) => attributes['deepdefense.step'] === 4) as (typeof steps)[number];
    const trace = receiver.spans.filter(({ traceId }) => traceId === step.traceId);
    const parts = trace.filter(({ parentSpanId }) => parentSpanId === step.spanId);
    expect(parts.map(({ name }) => name).filter((name) => name !== 'task')).toEqual(
      expect.arrayContaining(['wait_workers', 'compute', 'reduce', 'update', 'send', 'journal']),
    );
    const tasks = parts.filter(({ name }) => name === 'task');
    expect(new Set(tasks.map(({ instance }) => instance)).size).toBe(2);
    expect(new Set(trace.map(({ instance }) => instance)).size).toBe(3);
    for (const task of tasks) {
      expect(task.service).toBe('deepdefense-worker');
      const inside = trace.filter(({ parentSpanId }) => parentSpanId === task.spanId).map(({ name }) => name);
      expect(inside).toEqual(expect.arrayContaining(['receive', 'compute', 'send']));
    }
    for (const { startMs, endMs } of trace) expect(endMs).toBeGreaterThanOrEqual(startMs);
    const whole = receiver.spans.find(({ name }) => name === 'run');
    expect(receiver.spans.filter(({ parentSpanId }) => parentSpanId === whole?.spanId).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['checkpoint', 'evaluation']),
    );

    const lines = run.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const [id = ''] = await readdir(join(folder.path, 'runs'));
    expect(lines.filter(({ msg }) => msg === 'a worker is ready')).toHaveLength(2);
    for (const line of lines.filter(({ name }) => name === 'coordinator')) expect(line.run, JSON.stringify(line)).toBe(id);
    expect(lines.find(({ msg }) => msg === 'step')).toMatchObject({ level: 'info', run: id, totalSteps: 6, loss: expect.any(Number) });
    const log = await readFile(join(folder.path, 'runs', id, 'logs/worker-1.log'), 'utf8');
    const compiled = log.split('\n').find((line) => line.includes('graphs are compiled')) ?? '{}';
    expect(JSON.parse(compiled)).toMatchObject({ name: 'worker', run: id, worker: expect.stringMatching(/-\d+-[0-9a-f]{6}$/) });
  });

  it('traces: a measurement of a sweep has a span of the coordinator, and in it the trial of a worker process', {
    timeout: 120_000,
  }, async () => {
    await writeFile(join(folder.path, 'sweep.yaml'), SWEEP);
    const sweep = await folder.run('--otlp-endpoint', receiver.url, 'sweep', '-c', 'sweep.yaml', '--out', 'sweep', '--workers', '1');
    expect(sweep).toMatchObject({ code: 0 });
    const measurements = receiver.spans.filter(({ name }) => name === 'measurement');
    expect(measurements.map(({ service }) => service)).toEqual(['deepdefense-sweep', 'deepdefense-sweep', 'deepdefense-sweep']);
    for (const { traceId, spanId } of measurements)
      expect(receiver.spans.filter(({ parentSpanId }) => parentSpanId === spanId)).toMatchObject([
        { name: 'trial', traceId, service: 'deepdefense-worker' },
      ]);
  });

  it('logs: never say the password of NATS, whatever goes wrong', { timeout: 60_000 }, async () => {
    const servers = `nats://ada:correct-horse@127.0.0.1:${await freePort()}`;
    const worker = folder.start('--log-level', 'debug', '--log-format', 'json', 'worker', '--nats', servers, '--sweep', 'x');
    await worker.seen('metrics are served');
    await sleep(3_000);
    worker.child.kill('SIGTERM');
    await sleep(500);
    worker.child.kill('SIGKILL');
    const { stderr, stdout } = await worker.done;
    expect(stderr + stdout).not.toContain('correct-horse');
  });
});
