import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { diskFault, writeFileAtomic } from '../../../src/core/index.ts';

let folder = '';
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

it('disk faults: delay writes, or fail them as a full disk does, for as long as the file says so', async () => {
  folder = await mkdtemp(join(tmpdir(), 'deepdefense-disk-'));
  const faults = join(folder, 'faults.json');
  vi.stubEnv('DEEPDEFENSE_DISK_FAULTS', faults);
  const target = join(folder, 'target');
  await writeFileAtomic(target, 'no file, no fault');
  await writeFile(faults, '{"full": true}');
  await expect(writeFileAtomic(target, 'x')).rejects.toMatchObject({
    code: 'STORAGE_FAILED',
    parts: { got: expect.stringContaining('ENOSPC') as string },
  });
  await writeFile(faults, '{"delayMs": 60}');
  const startMs = performance.now();
  await writeFileAtomic(target, 'y');
  expect(performance.now() - startMs).toBeGreaterThan(55);
  await writeFile(faults, '{}');
  await diskFault();
});
