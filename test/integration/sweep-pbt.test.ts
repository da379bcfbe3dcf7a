/** @file Population based training by the command line: forks begin with the weights of others, whatever happens on the way. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readJournal } from '../../src/journal/index.ts';
import { CommandFolder } from './support/command.ts';
import { essence, expectEachMeasuredOnce, readRecord, workersOf, writeSweep } from './support/sweeps.ts';

let folder: CommandFolder;
beforeEach(async () => {
  folder = await CommandFolder.create();
});
afterEach(async () => {
  await folder.close();
});

const PBT_SWEEP = `
name: population
config:
  data: {source: synthetic, trainSamples: 320, testSamples: 100}
  model: {name: cnn3}
  strategy: {name: deep}
  train: {batchSize: 32}
  evaluation: {epsLinf: [0.03], robustSamples: 20, attacks: [fgsm]}
space:
  strategy.gfa.strength: {type: log-float, low: 0.1, high: 10}
  optimizer.learningRate: {type: log-float, low: 0.0001, high: 0.01}
objectives: [{name: clean-accuracy}]
rungs: [{epochs: 1}, {epochs: 2}, {epochs: 3}]
sampler: {name: sobol}
scheduler: {name: pbt, population: 3, quantile: 0.34}
budget: {candidates: 8}
lanes: 3
leaseMs: 2000
`;

const trialFolder = (out: string, trial: string) => join(folder.path, out, 'trials', trial.slice(0, 16));

/** Folder of the last claim of a trial. */
async function runFolderOf(out: string, trial: string): Promise<string> {
  const names = (await readdir(trialFolder(out, trial))).filter((name) => /^attempt-\d+$/.test(name));
  return join(trialFolder(out, trial), names.sort((a, b) => Number(b.slice(8)) - Number(a.slice(8)))[0] ?? '');
}

it('forks go on with the weights of their parents, also when workers are killed and the weights are gone', async () => {
  const file = await writeSweep(folder, PBT_SWEEP);
  const calm = await folder.run('sweep', '-c', file, '--out', 'calm', '--workers', '2');
  expect(calm).toMatchObject({ code: 0 });
  const expected = await readRecord(folder, 'calm');
  const forks = expected.candidates.filter(({ parent }) => parent !== undefined);
  expect(expected.candidates).toHaveLength(5);
  expect(forks.map(({ parent }) => parent?.rung)).toEqual([0, 1]);

  for (const { trials, parent } of forks) {
    const run = await runFolderOf('calm', trials[0] as string);
    const events = (await readJournal(join(run, 'journal.jsonl'))).records.map(({ event }) => event);
    const forked = events.find(({ type }) => type === 'run-forked');
    // 10 steps an epoch.
    expect(forked).toMatchObject({ step: 10 * ((parent?.rung ?? -1) + 1) });
    const origin = await runFolderOf('calm', expected.candidates[parent?.candidate ?? -1]?.trials[0] as string);
    const before = (await readJournal(join(origin, 'journal.jsonl'))).records.map(({ event }) => event);
    const last = before.find((event) => event.type === 'step-committed' && event.step === (forked as { step: number }).step - 1);
    expect(last).toMatchObject({ parametersSha256: (forked as { parametersSha256: string }).parametersSha256 });
    expect(JSON.parse(await readFile(join(run, 'result.json'), 'utf8'))).toHaveProperty('forkedFrom.step');
    const audit = await folder.run('audit', run, '--replay', '3');
    expect(audit).toMatchObject({ code: 0 });
  }

  const rough = folder.start('sweep', '-c', file, '--out', 'rough', '--workers', '1');
  await rough.seen('| 3 measurements');
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const [worker = 0] = await workersOf(rough);
  process.kill(worker, 'SIGKILL');
  await rough.seen('| 5 measurements');
  rough.child.kill('SIGINT');
  expect((await rough.done).code).toBe(130);
  for (const { trials } of expected.candidates)
    for (const rung of [0, 1]) await rm(join(trialFolder('rough', trials[0] as string), `rung-${rung}.safetensors`), { force: true });
  const resumed = await folder.run('sweep', 'resume', 'rough', '--workers', '2');
  expect(resumed).toMatchObject({ code: 0 });
  const logs = await readdir(join(folder.path, 'rough', 'logs'));
  const logged = await Promise.all(logs.map((name) => readFile(join(folder.path, 'rough', 'logs', name), 'utf8')));
  expect(logged.join('')).toContain('they are computed once more');
  expect(essence(await readRecord(folder, 'rough'))).toEqual(essence(expected));
  await expectEachMeasuredOnce(folder, 'rough');
});
