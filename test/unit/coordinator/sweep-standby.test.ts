/** @file What a process that waits for the lead of a sweep says of itself. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { loadSweep } from '../../../src/config/index.ts';
import { startSweep } from '../../../src/coordinator/index.ts';
import { createLogger } from '../../../src/telemetry/index.ts';
import { freePort } from '../../support/nats-server.ts';

const SWEEP = `
function: branin
space: {x1: {type: float, low: 0, high: 1}, x2: {type: float, low: 0, high: 1}}
objectives: [{name: value}]
sampler: {name: random}
budget: {candidates: 2}
`;

it('standby: is ready while it waits, and its metric says whether it waits or leads', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'standby-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'sweep.yaml');
  await writeFile(file, SWEEP);
  const httpPort = await freePort();
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${httpPort}${path}`)).text();
  const options = {
    source: await loadSweep({ file }),
    folder: join(folder, 'sweep'),
    sweepId: 's1',
    dataset: { name: '', contentHash: '' },
    host: '127.0.0.1',
    port: 0,
    logger: createLogger({ level: 'silent' }),
  };

  const leader = await startSweep({ ...options, httpPort: 0 });
  expect(await (await fetch(`${leader.httpUrl}/metrics`)).text()).not.toContain('deepdefense_sweep_standby{');

  let standby: ReturnType<typeof startSweep> | undefined;
  await new Promise<void>((resolve) => {
    standby = startSweep({ ...options, httpPort, standby: { signal: new AbortController().signal, onWait: () => resolve() } });
  });
  expect(await get('/readyz')).toBe('ready: standing by\n');
  expect(await get('/metrics')).toContain('deepdefense_sweep_standby{sweep="s1"} 1\n');

  await leader.stop('to be followed');
  const follower = await standby;
  const metrics = await get('/metrics');
  expect(metrics).toContain('deepdefense_sweep_standby{sweep="s1"} 0\n');
  expect(metrics).toContain('deepdefense_sweep_info{sweep="s1"');
  await follower?.stop('the test is over');
});
