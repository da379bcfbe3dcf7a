import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeFileLock } from '../../../src/core/index.ts';

const OPTIONS = { purpose: 'with a test', code: 'RUN_IN_USE' } as const;

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file-lock-'));
  path = join(folder, 'run.lock');
});
afterEach(() => rm(folder, { recursive: true }));

const holder = (fields: object) => writeFile(path, JSON.stringify({ host: hostname(), ...fields }));

describe('a lock file', () => {
  it('is refused to a second one, of this process as well, until it is given back', async () => {
    const release = await takeFileLock(path, OPTIONS);
    await expect(takeFileLock(path, OPTIONS)).rejects.toMatchObject({ code: 'RUN_IN_USE' });
    await release();
    await (await takeFileLock(path, OPTIONS))();
  });

  it('is refused while its process lives, and on another host', async () => {
    const release = await takeFileLock(path, OPTIONS);
    const { started } = JSON.parse(await readFile(path, 'utf8')) as { readonly started?: string };
    await release();
    // The test runner's parent lives, and no start is known of it, as older versions wrote it.
    await holder({ pid: process.ppid });
    await expect(takeFileLock(path, OPTIONS)).rejects.toMatchObject({ code: 'RUN_IN_USE' });
    await holder({ pid: process.pid, host: 'elsewhere', started });
    await expect(takeFileLock(path, OPTIONS)).rejects.toThrow('process');
  });

  it('is taken over from a process that is gone', async () => {
    await holder({ pid: 4_194_303 });
    await (await takeFileLock(path, OPTIONS))();
  });

  it.skipIf(process.platform !== 'linux')('is taken over from a process whose id another one has now, or a thread', async () => {
    const thread = (await readdir('/proc/self/task')).map(Number).find((id) => id !== process.pid);
    for (const pid of [process.ppid, process.pid, thread]) {
      await holder({ pid, started: 'another-boot 12345' });
      await (await takeFileLock(path, OPTIONS))();
    }
  });
});
