/** @file What older versions have left is read, and gone on with to the same results; what another version must not touch is refused. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MODELS } from '../../src/config/index.ts';
import { auditRun, findResumePoint, SweepState } from '../../src/coordinator/index.ts';
import { readJournal, type SweepEvent } from '../../src/journal/index.ts';
import { readRun } from '../../src/reports/index.ts';
import { TestCluster, tinyConfig } from './support/cluster.ts';
import { CommandFolder } from './support/command.ts';
import { readRecord } from './support/sweeps.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));
/** Of two epochs, after step 10 of 12; see the fixtures' README.md. */
const OLD_RUN = join(FIXTURES, 'run-2026-11-22');
const OLD_SWEEP = join(FIXTURES, 'sweep-2026-11-24/sweep.jsonl');

// The run's model, cut down so that its checkpoints have a few kB.
Object.assign(MODELS.cnn3, { layers: [{ kind: 'dense', name: 'fc1', inFeatures: 4, outFeatures: 3, relu: false }] });

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await TestCluster.create();
});
afterEach(() => cluster.close());

it('a run of 2026-11-22: goes on to the weights that it would have had', async () => {
  await cp(OLD_RUN, cluster.runFolder, { recursive: true });
  const { weightsSha256 } = JSON.parse(await readFile(join(OLD_RUN, 'expected.json'), 'utf8')) as { weightsSha256: string };
  const config = tinyConfig({ train: { shards: 2 } });
  const { checkpoint, path, skipped } = await findResumePoint(cluster.runFolder, config);
  expect(checkpoint?.step).toBe(6);
  expect(skipped).toEqual([]);
  const handle = await cluster.start(config, { resume: checkpoint, resumePath: path });
  cluster.worker();
  expect(await handle.result).toMatchObject({ state: 'completed', steps: 12, weightsSha256 });

  // The old steps name neither answers nor parameters, so only what they say is checked.
  const { checks } = await auditRun(cluster.runFolder);
  for (const name of ['journal', 'samples', 'shards', 'recomputed steps', 'weights'])
    expect(
      checks.find((check) => check.name === name),
      name,
    ).toMatchObject({ passed: true });
  expect(await readRun(cluster.runFolder)).toMatchObject({ steps: 12, weightsSha256 });
});

it('a sweep of 2026-11-24: is read whole, and goes on from its middle to the same decisions', async () => {
  const { records } = await readJournal<SweepEvent>(OLD_SWEEP);
  const finished = records.at(-1)?.event;
  expect(SweepState.fromJournal(records).state.planner.finished).toBe(true);
  const folder = await CommandFolder.create();
  try {
    await mkdir(join(folder.path, 'sweep'));
    const lines = (await readFile(OLD_SWEEP, 'utf8')).split('\n');
    await writeFile(join(folder.path, 'sweep/sweep.jsonl'), `${lines.slice(0, 15).join('\n')}\n`);
    expect(await folder.run('sweep', 'resume', 'sweep', '--workers', '1')).toMatchObject({ code: 0 });
    expect(await readRecord(folder, 'sweep')).toMatchObject({
      state: 'completed',
      decisionsSha256: finished?.type === 'sweep-finished' ? finished.decisionsSha256 : '',
    });
  } finally {
    await folder.close();
  }
});

it('a run: is refused when another version of the package has computed its steps', async () => {
  const config = tinyConfig({ train: { shards: 2 } });
  const handle = await cluster.start(config);
  cluster.worker({ fingerprint: 'fake engine deepdefense-0.0.9' });
  await cluster.event('checkpoint');
  await handle.stop('enough');
  await expect(findResumePoint(cluster.runFolder, config)).rejects.toMatchObject({
    code: 'PROTOCOL_VERSION',
    parts: { got: 'version 0.0.9', todo: 'go on with version 0.0.9, or start a new run' },
  });
  expect((await auditRun(cluster.runFolder)).passed).toBe(true);
});

it('a run: is refused when a newer version wrote its checkpoint, and not gone on with from an older one', async () => {
  await cp(OLD_RUN, cluster.runFolder, { recursive: true });
  const path = join(cluster.runFolder, 'checkpoints/step-00000006.safetensors');
  // Same length, so that the header's length still fits.
  const bytes = await readFile(path, 'latin1');
  await writeFile(path, bytes.replace('deepdefense-checkpoint-1', 'deepdefense-checkpoint-2'), 'latin1');
  await expect(findResumePoint(cluster.runFolder, tinyConfig({ train: { shards: 2 } }))).rejects.toMatchObject({
    code: 'FORMAT_NEWER',
    parts: { got: 'format 2' },
  });
});
