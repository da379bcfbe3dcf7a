/** @file Sweeps by the command line, with real worker processes that are killed, frozen and stopped. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readJournal } from '../../src/journal/index.ts';
import { CommandFolder } from './support/command.ts';
import { freePort } from './support/processes.ts';
import { essence, expectEachMeasuredOnce, FUNCTION_SWEEP, readEvents, readRecord, workersOf, writeSweep } from './support/sweeps.ts';

let folder: CommandFolder;
beforeEach(async () => {
  folder = await CommandFolder.create();
});
afterEach(async () => {
  await folder.close();
});

const TRAINING_SWEEP = `
name: tiny
config:
  data: {source: synthetic, trainSamples: 640, testSamples: 100}
  model: {name: cnn3}
  strategy: {name: deep}
  train: {batchSize: 32}
  checkpoint: {everySteps: 5}
  evaluation: {epsLinf: [0.03], robustSamples: 20, attacks: [fgsm]}
space:
  strategy.gfa.strength: {type: log-float, low: 0.1, high: 10}
  strategy.gfa.weights: {type: layer-weights, layers: [input, conv1, conv2], form: sparse, low: 0.1, high: 1}
objectives: [{name: clean-accuracy}, {name: robust-accuracy}, {name: training-cost}]
rungs: [{epochs: 1}, {epochs: 2, attacks: [fgsm, pgd]}]
sampler: {name: random}
scheduler: {name: asha, reduction: 2}
budget: {candidates: 4}
lanes: 2
leaseMs: 2000
`;

const sweepFile = (text: string, name?: string) => writeSweep(folder, text, name);
const recordOf = (out: string) => readRecord(folder, out);
const eventsOf = (out: string) => readEvents(folder, out);

describe('sweep', () => {
  it('makes the same decisions when a worker is killed, another one frozen, and the coordinator killed and resumed', async () => {
    const file = await sweepFile(FUNCTION_SWEEP);
    const calm = await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '2', '--json');
    expect(calm.code).toBe(0);
    const expected = await recordOf('calm');
    expect(expected).toMatchObject({ state: 'completed', sampler: 'tpe' });
    expect(JSON.parse(calm.stdout)).toMatchObject({ decisionsSha256: expected.decisionsSha256 });

    const rough = folder.start('sweep', '-c', file, '--out', 'rough', '--workers', '3');
    await rough.seen('| 4 measurements');
    const [first = 0, second = 0] = await workersOf(rough);
    process.kill(first, 'SIGKILL');
    process.kill(second, 'SIGSTOP');
    await rough.seen('fell silent');
    process.kill(second, 'SIGCONT');
    await rough.seen('| 14 measurements');
    rough.child.kill('SIGKILL');
    await rough.done;
    const resumed = await folder.run('sweep', 'resume', 'rough', '--workers', '1');
    expect(resumed.code).toBe(0);
    expect(essence(await recordOf('rough'))).toEqual(essence(expected));
    await expectEachMeasuredOnce(folder, 'rough');
  });

  it('trains trials in parts, and the same ones in gangs of which one is killed in the middle of a trial', async () => {
    const file = await sweepFile(TRAINING_SWEEP);
    const calm = await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '2');
    expect(calm).toMatchObject({ code: 0 });
    const expected = await recordOf('calm');
    expect(expected.candidates.flatMap(({ measurements }) => measurements).every(({ values }) => values?.every(Number.isFinite))).toBe(
      true,
    );
    expect(expected.candidates.filter(({ state }) => state === 'completed').length).toBeGreaterThanOrEqual(2);
    expect(expected.engines).toHaveLength(1);

    const rough = folder.start('sweep', '-c', file, '--out', 'rough', '--workers', '1', '--set', 'gang=2');
    await rough.seen('| 1 measurements');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const [worker = 0] = await workersOf(rough);
    process.kill(worker, 'SIGKILL');
    await rough.seen('| 3 measurements');
    rough.child.kill('SIGINT');
    expect((await rough.done).code).toBe(130);
    expect((await folder.run('sweep', 'resume', 'rough', '--workers', '2')).code).toBe(0);
    expect(essence(await recordOf('rough'))).toEqual(essence(expected));
    await expectEachMeasuredOnce(folder, 'rough');
    const trial = join(folder.path, 'rough', 'trials', (expected.candidates[3]?.trials[0] ?? '').slice(0, 16));
    const [attempt = ''] = (await readdir(trial)).filter((name) => /^attempt-\d+$/.test(name));
    const { records } = await readJournal(join(trial, attempt, 'journal.jsonl'));
    const joined = records.flatMap(({ event }) => (event.type === 'worker-joined' ? [event.workerId] : []));
    expect(new Set(joined).size).toBeGreaterThanOrEqual(2);
  });

  it('is paused, says how far it is, is extended and goes on', async () => {
    const file = await sweepFile(FUNCTION_SWEEP);
    const sweep = folder.start('sweep', '-c', file, '--out', 'one', '--workers', '1');
    await sweep.seen('| 3 measurements');
    expect((await folder.run('sweep', 'pause', 'one')).code).toBe(0);
    const status = await folder.run('sweep', 'status', 'one', '--json');
    expect(JSON.parse(status.stdout)).toMatchObject({ state: 'paused', running: true });
    const metrics = await (await fetch((await sweep.seen(/http:\S+\/metrics/)).trim())).text();
    expect(metrics).toContain('deepdefense_sweep_info{sweep="branin-');
    expect(metrics).toContain('deepdefense_sweep_paused 1');
    expect(metrics).toContain('deepdefense_sweep_candidate_budget 24');
    expect(metrics).toMatch(/deepdefense_sweep_measurements\{rung="0",outcome="measured"\} [1-9]/);
    expect(metrics).toMatch(/deepdefense_sweep_best_value\{objective="value",rung="0"\} [\d.]+/);
    expect(metrics).toMatch(/deepdefense_sweep_tasks\{state="waiting"\} [1-9]/);
    await new Promise((resolve) => setTimeout(resolve, 400));
    const before = (await eventsOf('one')).length;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await eventsOf('one')).length).toBe(before);
    expect((await folder.run('sweep', 'extend', 'one', '--candidates', '26')).code).toBe(0);
    expect((await folder.run('sweep', 'resume', 'one')).code).toBe(0);
    expect((await sweep.done).code).toBe(0);
    expect((await recordOf('one')).candidates).toHaveLength(26);
    expect((await folder.run('sweep', 'extend', 'one', '--candidates', '20')).code).toBe(2);
    expect((await folder.run('sweep', 'extend', 'one', '--candidates', '27')).code).toBe(0);
    expect((await folder.run('sweep', 'resume', 'one', '--workers', '1')).code).toBe(0);
    expect((await recordOf('one')).candidates).toHaveLength(27);
  });

  it('keeps workers from elsewhere through a restart of the coordinator', async () => {
    const file = await sweepFile(FUNCTION_SWEEP);
    const port = await freePort();
    const args = ['--workers', '0', '--port', String(port)];
    const first = folder.start('sweep', '-c', file, '--out', 'one', ...args);
    await first.seen('start workers with');
    const worker = folder.start('worker', '--sweep', `127.0.0.1:${port}`);
    await first.seen('| 5 measurements');
    first.child.kill('SIGKILL');
    await first.done;
    const second = await folder.run('sweep', 'resume', 'one', ...args);
    expect(second.code).toBe(0);
    expect(await worker.done).toMatchObject({ code: 0 });
    expect((await eventsOf('one')).filter(({ type }) => type === 'sweep-opened')).toHaveLength(2);
    await expectEachMeasuredOnce(folder, 'one');
  });

  it('ends when its disk is full, and goes on without a loss when there is room again', async () => {
    const file = await sweepFile(FUNCTION_SWEEP);
    const faults = join(folder.path, 'faults.json');
    vi.stubEnv('DEEPDEFENSE_DISK_FAULTS', faults);
    const sweep = folder.start('sweep', '-c', file, '--out', 'one', '--workers', '2');
    vi.unstubAllEnvs();
    await sweep.seen('| 6 measurements');
    await writeFile(faults, JSON.stringify({ full: true }));
    const ended = await sweep.done;
    expect(ended).toMatchObject({ code: 10 });
    expect(ended.stderr).toContain('ENOSPC');
    const known = (await eventsOf('one')).filter(({ type }) => type === 'trial-measured').length;
    expect(known).toBeGreaterThanOrEqual(6);
    expect((await folder.run('sweep', 'resume', 'one', '--workers', '2')).code).toBe(0);
    expect((await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '2')).code).toBe(0);
    expect(essence(await recordOf('one'))).toEqual(essence(await recordOf('calm')));
    await expectEachMeasuredOnce(folder, 'one');
  });

  it('share a worker, and it stays until both are over', async () => {
    const [one, two] = await Promise.all([
      sweepFile(FUNCTION_SWEEP, 'one.yaml'),
      sweepFile(FUNCTION_SWEEP.replace('name: branin', 'name: other').replace('candidates: 24', 'candidates: 12'), 'two.yaml'),
    ]);
    const ports = [await freePort(), await freePort()];
    const sweeps = [one, two].map((file, i) =>
      folder.start('sweep', '-c', file, '--out', `out${i}`, '--workers', '0', '--port', String(ports[i])),
    );
    await Promise.all(sweeps.map((sweep) => sweep.seen('start workers with')));
    const addresses = [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}=3`];
    const worker = folder.start('worker', ...addresses.flatMap((address) => ['--sweep', address]), '--json');
    const done = await worker.done;
    expect(done).toMatchObject({ code: 0 });
    for (const sweep of sweeps) expect(await sweep.done).toMatchObject({ code: 0 });
    const measured = (await Promise.all([0, 1].map((i) => eventsOf(`out${i}`)))).map(
      (events) => events.filter(({ type }) => type === 'trial-measured').length,
    );
    expect(JSON.parse(done.stdout)).toMatchObject({ tasks: (measured[0] ?? 0) + (measured[1] ?? 0) });
    for (const [bad, message] of [
      ['127.0.0.1:1=0', '=WEIGHT above 0'],
      ['nowhere', 'bad --sweep'],
    ] as const) {
      const refused = await folder.run('worker', '--sweep', bad);
      expect(refused).toMatchObject({ code: 2 });
      expect(refused.stderr).toContain(message);
    }
  });

  it('refuses a second coordinator, another sweep in its folder, and files that are wrong', async () => {
    const file = await sweepFile(FUNCTION_SWEEP);
    const sweep = folder.start('sweep', '-c', file, '--out', 'one', '--workers', '1');
    await sweep.seen('| 1 measurements');
    const second = await folder.run('sweep', '-c', file, '--out', 'one');
    expect(second).toMatchObject({ code: 10 });
    expect(second.stderr).toContain('another process is busy with the sweep');
    expect((await folder.run('sweep', 'stop', 'one')).code).toBe(0);
    expect((await sweep.done).code).toBe(0);
    const other = await sweepFile(FUNCTION_SWEEP.replace('startup: 5', 'startup: 6'), 'other.yaml');
    const refused = await folder.run('sweep', '-c', other, '--out', 'one');
    expect(refused).toMatchObject({ code: 5 });
    expect(refused.stderr).toContain('sweep.sampler.startup 5');
    for (const [from, to, message] of [
      ['x2: {', 'y: {', 'x1, x2, ...'],
      ['candidates: 24', 'candidates: 0', 'budget.candidates'],
      ['name: value', 'name: clean-accuracy', 'no trial of this sweep reports "clean-accuracy"'],
      ['lanes: 4', 'lane: 4', 'did you mean "lanes"?'],
      ['high: 1}', 'high: -1}', 'low is above high'],
      ['objectives:', 'constraints: [{sum: [x1], min: 2}]\nobjectives:', 'no valid point'],
    ] as const) {
      const bad = await folder.run('sweep', '-c', await sweepFile(FUNCTION_SWEEP.replace(from, to), 'bad.yaml'), '--out', 'bad');
      expect(bad).toMatchObject({ code: 3 });
      expect(bad.stderr).toContain(message);
    }
    const unknown = await folder.run(
      'sweep',
      '-c',
      await sweepFile(TRAINING_SWEEP.replace('gfa.strength', 'gfa.strenght'), 'bad.yaml'),
      '--out',
      'bad',
    );
    expect(unknown).toMatchObject({ code: 3 });
    expect(unknown.stderr).toContain('strategy.gfa.strenght');
  });
});
