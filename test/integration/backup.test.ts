/** @file Copies of run and sweep folders that were taken while they were written to, restored elsewhere, end as the originals. */
import { copyFile, cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditRun, findResumePoint } from '../../src/coordinator/index.ts';
import { isDeepDefenseError } from '../../src/core/index.ts';
import { NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { TestCluster, tinyConfig } from './support/cluster.ts';
import { CommandFolder } from './support/command.ts';
import { FUNCTION_SWEEP, readRecord, writeSweep } from './support/sweeps.ts';

/** As docs/operations.md says: checkpoints, then the journal, then the rest. A checkpoint may be removed meanwhile. */
async function backUp(from: string, to: string): Promise<void> {
  await mkdir(join(to, 'checkpoints'), { recursive: true });
  for (const name of (await readdir(join(from, 'checkpoints'))).filter((each) => each.endsWith('.safetensors')))
    await copyFile(join(from, 'checkpoints', name), join(to, 'checkpoints', name)).catch(() => {});
  await copyFile(join(from, 'journal.jsonl'), join(to, 'journal.jsonl'));
  for (const name of ['config.yaml', 'sample-hashes.bin']) await copyFile(join(from, name), join(to, name));
}

describe('a run folder', () => {
  const config = tinyConfig({ checkpoint: { everySteps: 2, keep: 2 } });
  let clusters: TestCluster[];
  beforeEach(async () => {
    clusters = [await TestCluster.create(), await TestCluster.create()];
  });
  afterEach(async () => {
    for (const cluster of clusters) await cluster.close();
  });

  it('copied in mid-run, checkpoints first: ends with the same weights', async () => {
    const [original, restored] = clusters as [TestCluster, TestCluster];
    const handle = await original.start(config);
    original.worker({ blockMs: 20 });
    await original.event('step', ({ step }) => step === 7);
    await backUp(original.runFolder, restored.runFolder);
    const { weightsSha256 } = await handle.result;

    const { checkpoint, path } = await findResumePoint(restored.runFolder, config);
    expect(checkpoint?.step).toBeGreaterThanOrEqual(4);
    expect(checkpoint?.step).toBeLessThan(12);
    const resumed = await restored.start(config, { resume: checkpoint, resumePath: path });
    restored.worker();
    expect(await resumed.result).toMatchObject({ state: 'completed', weightsSha256 });
    expect((await auditRun(restored.runFolder)).passed).toBe(true);
  });

  it('copied with the journal first: goes on from a checkpoint that the copied journal knows, or says that none is', async () => {
    const [original, restored] = clusters as [TestCluster, TestCluster];
    const handle = await original.start(config);
    original.worker({ blockMs: 20 });
    await original.event('step', ({ step }) => step === 5);
    await mkdir(restored.runFolder, { recursive: true });
    await copyFile(join(original.runFolder, 'journal.jsonl'), join(restored.runFolder, 'journal.jsonl'));
    await handle.result;
    // By now the checkpoints that the copied journal knows are gone.
    await cp(join(original.runFolder, 'checkpoints'), join(restored.runFolder, 'checkpoints'), { recursive: true });
    const refusal = await findResumePoint(restored.runFolder, config).catch((error: unknown) => error);
    expect(isDeepDefenseError(refusal) && refusal.code).toBe('CHECKPOINT_CORRUPT');
  });
});

describe('a sweep', () => {
  let folder: CommandFolder;
  let server: NatsServer | undefined;
  beforeEach(async () => {
    folder = await CommandFolder.create();
  });
  afterEach(async () => {
    await folder.close();
    await server?.close();
  });

  it('whose journal was copied in mid-run: ends with the same decisions', async () => {
    const file = await writeSweep(folder, FUNCTION_SWEEP);
    const original = folder.start('sweep', '-c', file, '--out', 'original', '--workers', '1');
    await original.seen('| 5 measurements');
    await mkdir(join(folder.path, 'restored'));
    await copyFile(join(folder.path, 'original/sweep.jsonl'), join(folder.path, 'restored/sweep.jsonl'));
    expect((await original.done).code).toBe(0);
    expect((await folder.run('sweep', 'resume', 'restored', '--workers', '1')).code).toBe(0);
    const { decisionsSha256 } = await readRecord(folder, 'original');
    expect(await readRecord(folder, 'restored')).toMatchObject({ state: 'completed', decisionsSha256 });
  });

  it.skipIf(NATS_SERVER === undefined)(
    `that was kept on NATS: goes on in its folder without the server, and another folder is made from the server${NATS_SKIPPED}`,
    async () => {
      server = await startNatsServer();
      const nats = ['--nats', server.url];
      const file = await writeSweep(folder, FUNCTION_SWEEP);
      const original = folder.start('sweep', '-c', file, '--out', 'kept', ...nats, '--id', 'kept', '--workers', '1');
      await original.seen('| 5 measurements');
      original.child.kill('SIGTERM');
      await original.done;
      await rename(join(folder.path, 'kept'), join(folder.path, 'alone'));

      // The folder is lost: it is made anew, as sweeps/ID.
      expect((await folder.run('sweep', 'resume', 'kept', ...nats, '--workers', '1')).code).toBe(0);
      // The server is lost: the folder goes on by itself.
      await server.close();
      server = undefined;
      await rm(join(folder.path, 'alone/nats.json'));
      expect((await folder.run('sweep', 'resume', 'alone', '--workers', '1')).code).toBe(0);
      const { decisionsSha256 } = await readRecord(folder, 'sweeps/kept');
      expect(await readRecord(folder, 'alone')).toMatchObject({ state: 'completed', decisionsSha256 });
    },
  );
});
