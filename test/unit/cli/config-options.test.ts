import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { configFromOptions } from '../../../src/cli/config-options.ts';

let folder: string;
let config: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'config-options-'));
  config = join(folder, 'config.yaml');
  await writeFile(config, 'cluster: { minWorkers: 2, maxWorkers: 4, port: 50051 }\n');
});
afterAll(() => rm(folder, { recursive: true }));

it('numbers of workers: options win over the file, each alone, and --set over them', async () => {
  expect((await configFromOptions({ config, set: [], minWorkers: 3 })).cluster).toMatchObject({
    minWorkers: 3,
    maxWorkers: 4,
    port: 50_051,
  });
  expect((await configFromOptions({ config, set: [], maxWorkers: 8 })).cluster).toMatchObject({ minWorkers: 2, maxWorkers: 8 });
  const set = ['cluster.minWorkers=1'];
  expect((await configFromOptions({ config, set, minWorkers: 3, maxWorkers: 3 })).cluster).toMatchObject({ minWorkers: 1, maxWorkers: 3 });
});

it('numbers of workers: a minimum above the maximum is refused by the config', async () => {
  await expect(configFromOptions({ config, set: [], minWorkers: 5 })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    parts: { got: 'maxWorkers 4, minWorkers 5' },
  });
});
