/** @file What `submit` sends to a cluster, run by hand: the command lines of the pods do what a StatefulSet and a Job expect of them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readJournal } from '../../src/journal/index.ts';
import type { SweepRecord } from '../../src/sweeps/index.ts';
import type { Manifest } from '../support/k8s/manifest.ts';
import { NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { CommandFolder } from './support/command.ts';
import { type PodProcess, PodProcesses } from './support/pod-processes.ts';
import { essence, FUNCTION_SWEEP, readRecord, writeSweep } from './support/sweeps.ts';

let folder: CommandFolder;
beforeEach(async () => {
  folder = await CommandFolder.create();
});
afterEach(() => folder.close());

async function render(...args: readonly string[]): Promise<readonly Manifest[]> {
  const { code, stdout, stderr } = await folder.run('--json', '--insecure', 'submit', ...args, '--dry-run');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return (JSON.parse(stdout) as { readonly manifests: readonly Manifest[] }).manifests;
}

/** Asks until the answer fits. */
async function until(pod: PodProcess, path: string, fits: (text: string) => boolean): Promise<string> {
  for (;;) {
    const { text } = await pod.get(path);
    if (fits(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Three minutes were not enough where eight test suites shared two cores. */
const BUSY_MS = 600_000;

const RUN = `
name: tiny
data: {source: synthetic, trainSamples: 320, testSamples: 40}
model: {name: cnn3}
train: {batchSize: 32, epochs: 4}
checkpoint: {everySteps: 2}
evaluation: {epsLinf: [0.03], robustSamples: 10, attacks: [fgsm]}
`;

describe('submitted run', () => {
  it('goes on with its worker when its pod is replaced, is never trained twice, and serves its result', { timeout: BUSY_MS }, async () => {
    await writeFile(join(folder.path, 'run.yaml'), RUN);
    const pods = await PodProcesses.create(folder, await render('-c', 'run.yaml', '--id', 'tiny'));
    const first = await pods.coordinator();
    const worker = await pods.worker();
    await until(first, '/metrics', (text) =>
      /^deepdefense_steps_total(\{[^}]*\})? [5-9]|^deepdefense_steps_total(\{[^}]*\})? \d\d/m.test(text),
    );
    expect((await first.get('/result')).status).toBe(404);
    // As a drain does it. The worker, which an end of the run would let go, waits.
    first.command.child.kill('SIGTERM');
    expect((await first.command.done).code).toBe(0);

    const second = await pods.coordinator();
    const said = await until(second, '/readyz', (text) => text.includes('completed'));
    expect(said).toMatch(/^ready: completed, 40 steps, weights [0-9a-f]{12}\n$/);
    const result = JSON.parse((await second.get('/result')).text) as {
      readonly state: string;
      readonly goodput: unknown;
      readonly weightsSha256: string;
    };
    expect(result.state).toBe('completed');
    // The stop left a checkpoint: no step was computed twice.
    const { records } = await readJournal(join(folder.path, 'volume-0/tiny/journal.jsonl'));
    const steps = records.flatMap(({ event }) => (event.type === 'step-committed' ? [event.step] : []));
    expect(steps).toEqual(Array.from({ length: 40 }, (_, index) => index));
    // The Job is complete.
    expect((await worker.command.done).code).toBe(0);
    second.command.child.kill('SIGKILL');
    await second.command.done;

    const third = await pods.coordinator();
    expect(JSON.parse((await third.get('/result')).text)).toEqual(result);
    third.command.child.kill('SIGTERM');
    expect((await third.command.done).code).toBe(0);
  });

  it('gets its worker back from a drain: a worker that has to leave is not done', { timeout: BUSY_MS }, async () => {
    await writeFile(join(folder.path, 'run.yaml'), RUN);
    const pods = await PodProcesses.create(folder, await render('-c', 'run.yaml', '--id', 'tiny'));
    const coordinator = await pods.coordinator();
    const worker = await pods.worker();
    await until(coordinator, '/readyz', (text) => text.startsWith('ready: 1 workers'));
    worker.command.child.kill('SIGTERM');
    expect((await worker.command.done).code).toBe(143);
  });
});

describe.skipIf(NATS_SERVER === undefined)(`submitted sweep${NATS_SKIPPED}`, () => {
  let server: NatsServer;
  beforeEach(async () => {
    server = await startNatsServer();
  });
  afterEach(() => server.close());

  it('is taken over by its standby, ends like a sweep in a folder, and stays ended whatever is started again', {
    timeout: BUSY_MS,
  }, async () => {
    const file = await writeSweep(folder, FUNCTION_SWEEP);
    expect((await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '2')).code).toBe(0);
    const calm = essence(await readRecord(folder, 'calm'));

    const objects = await render('-c', file, '--id', 'branin', '--workers', '2');
    const pods = await PodProcesses.create(folder, objects, { DEEPDEFENSE_NATS: server.url });
    const leader = await pods.coordinator(0);
    expect(await until(leader, '/readyz', (text) => text.startsWith('ready'))).toMatch(
      /^ready: at work, 0 measurements, \d+ of 24 candidates\n$/,
    );
    const standby = await pods.coordinator(1);
    // Probes of a standby are answered, or Kubernetes would start it again for ever.
    expect(await until(standby, '/readyz', (text) => text.startsWith('ready'))).toBe('ready: standing by\n');
    expect((await standby.get('/livez')).status).toBe(200);
    const workers = [await pods.worker(), await pods.worker()];
    await until(leader, '/readyz', (text) => /at work, [4-9] meas|at work, \d\d meas/.test(text));
    leader.command.child.kill('SIGKILL');
    await leader.command.done;
    const replaced = await pods.coordinator(0);

    await until(standby, '/readyz', (text) => text.includes('completed'));
    const record = JSON.parse((await standby.get('/result')).text) as SweepRecord;
    expect(essence(record)).toEqual(calm);
    for (const { command } of workers) expect((await command.done).code).toBe(0);
    // The other one, too, finds the sweep completed, whatever it was doing.
    expect(await until(replaced, '/readyz', (text) => text.includes('completed'))).toContain(record.decisionsSha256.slice(0, 12));
    expect((await standby.get('/metrics')).text).toContain('deepdefense_sweep_candidates{state="completed"}');
    for (const { command } of [standby, replaced]) {
      command.child.kill('SIGTERM');
      expect((await command.done).code).toBe(0);
    }
  });
});
