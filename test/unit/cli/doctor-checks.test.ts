import { createServer } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageVersion, portsCheck, runCheck, runsFolderCheck } from '../../../src/cli/doctor-checks.ts';
import { grpcCheck } from '../../../src/cli/doctor-network.ts';
import { DeepDefenseError } from '../../../src/core/index.ts';

describe('runCheck', () => {
  it('check: that throws has failed with the code of its error', async () => {
    const check = (error: unknown) => ({ name: 'x', exit: 'STORAGE' as const, run: () => Promise.reject(error as Error) });
    expect(await runCheck(check(new DeepDefenseError('DATA_CHECKSUM', { what: 'bytes differ' })))).toEqual({
      name: 'x',
      state: 'failed',
      detail: 'bytes differ',
      exitCode: 4,
    });
    expect(await runCheck(check(new Error('odd')))).toEqual({ name: 'x', state: 'failed', detail: 'odd', exitCode: 10 });
  });

  it('check: that failed without throwing has the code of its subject', async () => {
    expect(await runCheck({ name: 'x', exit: 'ENGINE', run: async () => ({ state: 'failed', detail: 'd' }) })).toMatchObject({
      exitCode: 6,
    });
    expect(await runCheck({ name: 'x', exit: 'ENGINE', run: async () => ({ state: 'warning', detail: 'd' }) })).toEqual({
      name: 'x',
      state: 'warning',
      detail: 'd',
    });
  });
});

describe('checks', () => {
  it('gRPC: works over the loopback', async () => {
    expect(await runCheck(grpcCheck)).toMatchObject({ state: 'ok' });
  });

  it('ports: a taken port of the examples is a warning that names it', async () => {
    const server = createServer();
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(true)); // Another process has it, which serves as well.
      server.listen(9464, '127.0.0.1', () => resolve(true));
    });
    expect(taken).toBe(true);
    const result = await runCheck(portsCheck);
    server.close();
    expect(result).toMatchObject({ state: 'warning' });
    expect(result.detail).toContain('9464 (EADDRINUSE)');
  });

  it('runs folder: is not made by the check', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'doctor-'));
    expect(await runCheck(runsFolderCheck(folder))).toMatchObject({ state: 'ok', detail: `${folder} is writable` });
    const inner = join(folder, 'a', 'b');
    expect(await runCheck(runsFolderCheck(inner))).toMatchObject({ state: 'ok', detail: `${inner} can be made` });
    await rm(folder, { recursive: true });
  });

  it('version: of an installed package is found, of another not', () => {
    expect(packageVersion('@grpc/grpc-js')).toMatch(/^\d+\.\d+\.\d+/);
    expect(packageVersion('no-such-package-here')).toBeUndefined();
  });
});
