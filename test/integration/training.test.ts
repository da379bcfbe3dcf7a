/** @file Whole runs over real gRPC with fake computers: the weights must not depend on who computed what. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readWeights } from '../../src/cli/weights-source.ts';
import { auditRun, loadNewestCheckpoint, parametersHash } from '../../src/coordinator/index.ts';
import { TestCluster, tinyConfig } from './support/cluster.ts';

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await TestCluster.create();
});
afterEach(() => cluster.close());

/** Hash of the final weights of an undisturbed run with one worker. */
async function referenceHash(): Promise<string> {
  const other = await TestCluster.create();
  try {
    const handle = await other.start(tinyConfig());
    other.worker();
    return (await handle.result).weightsSha256;
  } finally {
    await other.close();
  }
}

describe('run', () => {
  it('gives the same weights when 1, 2 or 3 workers compute', async () => {
    const expected = await referenceHash();
    for (const workers of [2, 3]) {
      const other = await TestCluster.create();
      const handle = await other.start(tinyConfig({ cluster: { minWorkers: workers } }));
      const exits = Array.from({ length: workers }, () => other.worker().exit);
      const result = await handle.result;
      expect(result).toMatchObject({ state: 'completed', steps: 12, epochs: 2, weightsSha256: expected });
      expect(await Promise.all(exits)).toEqual(Array.from({ length: workers }, () => 'completed'));
      await other.close();
    }
  });

  it('gives the same weights when 1 or 3 workers compute and send gradients in bfloat16, and other ones than in float32', async () => {
    const hashes: string[] = [];
    for (const workers of [1, 3]) {
      const other = await TestCluster.create();
      const handle = await other.start(tinyConfig({ train: { gradients: 'bfloat16' }, cluster: { minWorkers: workers } }));
      for (let i = 0; i < workers; i++) other.worker();
      hashes.push((await handle.result).weightsSha256);
      await other.close();
    }
    expect(hashes[1]).toBe(hashes[0]);
    expect(hashes[0]).not.toBe(await referenceHash());
  });

  it('with local steps gives the same weights for 1 and 3 workers, and when it is stopped and resumed', async () => {
    const config = tinyConfig({ sync: { everySteps: 5 } });
    const runs: { readonly sha: string; readonly steps: readonly unknown[] }[] = [];
    for (const workers of [1, 3]) {
      const other = await TestCluster.create();
      const handle = await other.start({ ...config, cluster: { ...config.cluster, minWorkers: workers } });
      for (let i = 0; i < workers; i++) other.worker();
      const { weightsSha256 } = await handle.result;
      const steps = (await other.journal()).filter(({ type }) => type === 'step-committed');
      runs.push({ sha: weightsSha256, steps: steps.map(({ step, position, samples }) => [step, position, samples]) });
      await other.close();
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[0]?.steps).toEqual([
      [0, 0, 80],
      [5, 80, 80],
      [10, 160, 32],
    ]);
    expect(runs[0]?.sha).not.toBe(await referenceHash());

    const first = await cluster.start(config);
    cluster.worker({ blockMs: 20 });
    await cluster.event('step', ({ step }) => step === 5);
    await first.stop('test');
    const { checkpoint } = await loadNewestCheckpoint(join(cluster.runFolder, 'checkpoints'), { config });
    expect([5, 10]).toContain(checkpoint.step);
    expect([...checkpoint.optimizer.slots.keys()].sort()).toEqual(['firstMoment', 'outerMomentum', 'secondMoment']);
    const second = await cluster.start(config, { resume: checkpoint });
    cluster.worker();
    expect(await second.result).toMatchObject({ state: 'completed', steps: 12, weightsSha256: runs[0]?.sha });
    expect(await auditRun(cluster.runFolder)).toMatchObject({ passed: true, steps: 12 });
  });

  it('with an average of the weights leaves the average: for 1 and 3 workers, and when it is stopped and resumed', async () => {
    const config = tinyConfig({ optimizer: { emaDecay: 0.9 } });
    const hashes: string[] = [];
    for (const workers of [1, 3]) {
      const other = await TestCluster.create();
      const handle = await other.start({ ...config, cluster: { ...config.cluster, minWorkers: workers } });
      for (let i = 0; i < workers; i++) other.worker();
      hashes.push((await handle.result).weightsSha256);
      const last = (await other.journal()).findLast(({ type }) => type === 'step-committed');
      // The parameters that training went on from are those of a run without an average.
      expect(last?.parametersSha256).toBe(await referenceHash());
      await other.close();
    }
    expect(hashes[1]).toBe(hashes[0]);
    expect(hashes[0]).not.toBe(await referenceHash());

    const first = await cluster.start(config);
    cluster.worker({ blockMs: 20 });
    await cluster.event('step', ({ step }) => step === 7);
    await first.stop('test');
    const { checkpoint } = await loadNewestCheckpoint(join(cluster.runFolder, 'checkpoints'), { config });
    expect([...checkpoint.optimizer.slots.keys()].sort()).toEqual(['average', 'firstMoment', 'secondMoment']);
    const second = await cluster.start(config, { resume: checkpoint });
    cluster.worker();
    expect(await second.result).toMatchObject({ state: 'completed', weightsSha256: hashes[0] });
    expect(await auditRun(cluster.runFolder)).toMatchObject({ passed: true, steps: 12 });
    // Interrupted or not, evaluation takes the average: of the weights file and of the checkpoint.
    for (const source of [cluster.runFolder, (await loadNewestCheckpoint(join(cluster.runFolder, 'checkpoints'))).path])
      expect(parametersHash((await readWeights(source)).parameters)).toBe(hashes[0]);
  });

  it('writes result, journal, checkpoints and weights when it completes', async () => {
    const handle = await cluster.start(tinyConfig({ evaluation: { attacks: ['fgsm', 'pgd'], epsLinf: [0.01, 0.02] } }));
    cluster.worker();
    const result = await handle.result;
    // Labels are (7 i + 2) mod 10: 8 of 10 below 8 on all 50 images; with attack below 4 - 100 eps: 3 and 2 of 10 on the first 30.
    expect(result.cleanAccuracy).toBe(0.8);
    expect(result.robust).toEqual([
      { attack: 'fgsm', epsLinf: 0.01, accuracy: 0.3, samples: 30, cleanCorrect: 24 },
      { attack: 'fgsm', epsLinf: 0.02, accuracy: 0.2, samples: 30, cleanCorrect: 24 },
      { attack: 'pgd', epsLinf: 0.01, accuracy: 0.3, samples: 30, cleanCorrect: 24 },
      { attack: 'pgd', epsLinf: 0.02, accuracy: 0.2, samples: 30, cleanCorrect: 24 },
      { attack: 'worst-case', epsLinf: 0.01, accuracy: 0.3, samples: 30, cleanCorrect: 24 },
      { attack: 'worst-case', epsLinf: 0.02, accuracy: 0.2, samples: 30, cleanCorrect: 24 },
    ]);
    expect(JSON.parse(await readFile(join(cluster.runFolder, 'result.json'), 'utf8'))).toEqual(JSON.parse(JSON.stringify(result)));
    const journal = await cluster.journal();
    const steps = journal.filter(({ type }) => type === 'step-committed');
    expect(steps.map(({ position }) => position)).toEqual(Array.from({ length: 12 }, (_, i) => i * 16));
    expect(
      journal.filter(({ type }) => type === 'evaluation-finished').map(({ step, attack }) => `${String(step)} ${String(attack)}`),
    ).toEqual(['6 clean', '12 clean', '12 fgsm', '12 fgsm', '12 pgd', '12 pgd']);
    expect(journal.at(-1)).toMatchObject({ type: 'run-finished', state: 'completed', parametersSha256: result.weightsSha256 });
    const { checkpoint } = await loadNewestCheckpoint(join(cluster.runFolder, 'checkpoints'));
    expect(checkpoint).toMatchObject({ step: 12, cleanAccuracy: 0.8 });
    expect(cluster.events.map(({ kind }) => kind)).toContain('evaluation-progress');
  });

  it('gives the same weights when a worker leaves and another joins in mid-run', async () => {
    const expected = await referenceHash();
    const handle = await cluster.start(tinyConfig());
    cluster.worker({ blockMs: 20 });
    const leaver = cluster.worker({ blockMs: 20 });
    await cluster.event('step', ({ step }) => step === 3);
    leaver.leave();
    cluster.worker({ blockMs: 20 });
    expect((await handle.result).weightsSha256).toBe(expected);
    expect(await leaver.exit).toBe('left');
  });

  it('gives the same weights when it is stopped and resumed', async () => {
    const expected = await referenceHash();
    const first = await cluster.start(tinyConfig());
    const worker = cluster.worker({ blockMs: 10 });
    await cluster.event('step', ({ step }) => step === 4);
    await first.stop('test');
    const stopped = await first.result;
    expect(stopped).toMatchObject({ state: 'stopped', cleanAccuracy: null });
    expect(stopped.steps).toBeGreaterThanOrEqual(4);
    expect(stopped.steps).toBeLessThan(12);
    expect(await worker.exit).toBe('stopped');
    const { checkpoint } = await loadNewestCheckpoint(join(cluster.runFolder, 'checkpoints'), { config: tinyConfig() });
    expect(checkpoint.step).toBe(stopped.steps);
    const second = await cluster.start(tinyConfig(), { resume: checkpoint });
    cluster.worker();
    const result = await second.result;
    expect(result).toMatchObject({ state: 'completed', steps: 12, weightsSha256: expected });
    const journal = await cluster.journal();
    expect(journal.filter(({ type }) => type === 'step-committed').map(({ step }) => step)).toEqual(
      Array.from({ length: 12 }, (_, i) => i),
    );
  });

  it('stops with a diagnosis and keeps the checkpoint when the loss is not finite', async () => {
    const handle = await cluster.start(tinyConfig());
    const worker = cluster.worker({ nanFromStep: 7 });
    await expect(handle.result).rejects.toMatchObject({
      code: 'NON_FINITE_LOSS',
      parts: { fields: { step: 7, nonFiniteMetrics: ['loss', 'lossTerm'] } },
    });
    expect(await worker.exit).toBe('failed');
    const { checkpoint } = await loadNewestCheckpoint(join(cluster.runFolder, 'checkpoints'));
    expect(checkpoint.step).toBe(6);
    expect((await cluster.journal()).at(-1)).toMatchObject({ type: 'run-finished', state: 'failed' });
  });

  it('ends with WORKERS_LOST and a checkpoint when nobody is left', async () => {
    const handle = await cluster.start(tinyConfig({ cluster: { workersLostMs: 400 } }));
    const worker = cluster.worker({ blockMs: 20 });
    await cluster.event('step', ({ step }) => step === 2);
    worker.leave();
    await expect(handle.result).rejects.toMatchObject({ code: 'WORKERS_LOST' });
    const { checkpoint } = await loadNewestCheckpoint(join(cluster.runFolder, 'checkpoints'));
    expect(checkpoint.step).toBeGreaterThanOrEqual(2);
    expect(cluster.events.some(({ kind }) => kind === 'waiting')).toBe(true);
  });

  it('ends at once when it is stopped before a worker came', async () => {
    const handle = await cluster.start(tinyConfig());
    await cluster.event('waiting');
    await handle.stop('test');
    expect(await handle.result).toMatchObject({ state: 'stopped', steps: 0, weightsSha256: '' });
  });
});
