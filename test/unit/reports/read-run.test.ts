import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRun } from '../../../src/reports/index.ts';
import { gfaLayers } from '../../../src/reports/run-record.ts';
import { MADE_UP_HASH, madeUpEvaluation, madeUpStep, writeMadeUpRun } from './made-up-run.ts';

let parent: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'deepdefense-reports-'));
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const robust = [
  { attack: 'pgd', epsLinf: 8 / 255, accuracy: 0.11, samples: 1000 },
  { attack: 'fgsm', epsLinf: 8 / 255, accuracy: 0.21, samples: 1000 },
  { attack: 'fgsm', epsLinf: 2 / 255, accuracy: 0.41, samples: 1000 },
] as const;

describe('readRun', () => {
  it('readRun: joins result and journal when both are there', async () => {
    const run = await readRun(await writeMadeUpRun(parent, { strategy: 'deep', steps: 250, clean: 0.62, robust, seed: 7 }));
    expect(run).toMatchObject({ state: 'completed', strategy: 'deep', model: 'vgg6', seed: 7, steps: 250, weightsSha256: MADE_UP_HASH });
    expect(run).toMatchObject({
      dataset: 'CIFAR-10 (JPEG-75)',
      startedAt: '2025-11-22T19:00:00.200Z',
      seconds: 81.7,
      samplesPerSecond: 512.34,
    });
    expect(run.stepRecords).toHaveLength(250);
    expect(run.cleanHistory.map((one) => one.step)).toEqual([100, 200, 250]);
    expect(run.finalAccuracies.map((one) => [one.attack, one.accuracy, one.samples])).toEqual([
      ['clean', 0.62, 10000],
      ['fgsm', 0.41, 1000],
      ['fgsm', 0.21, 1000],
      ['pgd', 0.11, 1000],
    ]);
    expect(gfaLayers(run)).toEqual(['conv1', 'conv2', 'conv3']);
    expect(run.warnings).toEqual([]);
  });

  it('readRun: takes everything from the journal when there is no result', async () => {
    const run = await readRun(await writeMadeUpRun(parent, { strategy: 'benchmark', steps: 30, unfinished: true }));
    expect(run).toMatchObject({ state: 'unfinished', steps: 30, engine: 'onnx:cpu made-up' });
    expect(run.epochs).toBeCloseTo((30 * 128) / 5000, 10);
    expect(run.weightsSha256).toBeUndefined();
  });

  it('readRun: leaves out steps and evaluations when a resume voided them', async () => {
    const folder = await writeMadeUpRun(parent, {
      strategy: 'benchmark',
      steps: 20,
      unfinished: true,
      extraEvents: [
        { type: 'run-resumed', fromStep: 10, checkpoint: 'checkpoints/step-10.safetensors' },
        madeUpStep(10, 'benchmark', 9.5),
        madeUpEvaluation(11, 'clean', 0, 0.5, 100),
      ],
    });
    const run = await readRun(folder);
    expect(run.steps).toBe(11);
    expect(run.stepRecords.at(-1)?.loss).toBeGreaterThan(9);
    expect(run.cleanHistory.map((one) => one.step)).toEqual([11]);
  });

  it('readRun: warns and goes on when the journal has a torn tail or the result is damaged', async () => {
    const folder = await writeMadeUpRun(parent, { strategy: 'benchmark', steps: 12 });
    await appendFile(join(folder, 'journal.jsonl'), '{"sequence":99,"ev');
    await writeFile(join(folder, 'result.json'), '{"state":');
    const run = await readRun(folder);
    expect(run.steps).toBe(12);
    expect(run.warnings.join('\n')).toMatch(/cut after its line[\s\S]*result\.json is damaged/);
  });

  it('readRun: says that the two disagree when result and journal count different steps', async () => {
    const folder = await writeMadeUpRun(parent, { strategy: 'benchmark', steps: 12 });
    const path = join(folder, 'result.json');
    await writeFile(path, (await readFile(path, 'utf8')).replace('"steps":12', '"steps":13'));
    expect((await readRun(folder)).warnings).toEqual([expect.stringContaining('13 steps, the journal 12')]);
  });

  it('readRun: fails with USAGE when the folder is not a run folder', async () => {
    await expect(readRun(parent)).rejects.toMatchObject({ code: 'USAGE', parts: { got: 'no journal.jsonl in it' } });
    await writeFile(join(parent, 'journal.jsonl'), '');
    await expect(readRun(parent)).rejects.toMatchObject({ code: 'USAGE' });
  });
});
