import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/index.ts';
import { createQueueService, MemoryQueue } from '../../../src/queue/index.ts';
import type { TlsFiles } from '../../../src/security/index.ts';
import {
  bindServer,
  closeServer,
  createCoordinatorClient,
  createCoordinatorServer,
  createSweepClient,
  createSweepServer,
  grpcStatus,
  type SweepClient,
} from '../../../src/wire/index.ts';
import { createMetrics, observeCalls } from '../../../src/telemetry/index.ts';
import { TestAuthority } from '../../support/certificates.ts';

let authority: TestAuthority;
let foreign: TestAuthority;
let server: TlsFiles;
beforeAll(async () => {
  [authority, foreign] = await Promise.all([TestAuthority.create(), TestAuthority.create()]);
  server = await authority.tls('coordinator', 'main');
});
afterAll(async () => {
  await Promise.all([authority.close(), foreign.close()]);
});

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const item of opened.splice(0).reverse()) await item.close();
});

it('listener: shows when its certificate ends, and 0 over plain text', async () => {
  const endOf = async (tls: TlsFiles | undefined): Promise<number> => {
    const metrics = createMetrics('coordinator', { processMetrics: false });
    const options = { tls, observer: observeCalls(metrics) };
    const grpc = createCoordinatorServer({ work: (stream) => stream.end(), fetchDataset: (call) => call.end() }, options);
    opened.push({ close: () => closeServer(grpc, 50) });
    await bindServer(grpc, '127.0.0.1', 0, options);
    return Number(/^deepdefense_certificate_not_after_timestamp_seconds (\S+)$/m.exec(await metrics.render())?.[1]);
  };
  expect(await endOf(server)).toBe(server.notAfterMs / 1000);
  expect(await endOf(undefined)).toBe(0);
});

/** @returns the status that a worker's stream ends with; `connected` when the coordinator has let it in */
async function enter(tls: TlsFiles | undefined, own: TlsFiles = server): Promise<string> {
  const grpc = createCoordinatorServer({ work: (stream) => stream.end(), fetchDataset: (call) => call.end() }, { tls: own });
  opened.push({ close: () => closeServer(grpc, 50) });
  const client = createCoordinatorClient(`127.0.0.1:${await bindServer(grpc, '127.0.0.1', 0, { tls: own })}`, tls);
  opened.push(client);
  try {
    await client.waitUntilConnected(1500);
  } catch {
    return 'no connection';
  }
  return new Promise((resolve) => {
    const stream = client.work();
    stream.on('data', () => {});
    stream.on('error', (error) => resolve(grpcStatus[(error as unknown as { code: number }).code] ?? ''));
    stream.on('end', () => resolve('connected'));
  });
}

describe('mutual TLS', () => {
  it('lets in a worker of the same authority, and a coordinator', async () => {
    expect(await enter(await authority.tls('worker', 'one'))).toBe('connected');
    expect(await enter(await authority.tls('coordinator', 'two'))).toBe('connected');
  });

  it('keeps out who has no certificate, one of another authority, or one that has ended', async () => {
    expect(await enter(undefined)).toBe('no connection');
    const stranger = await foreign.tls('worker', 'one');
    expect(await enter(stranger)).toBe('no connection');
    expect(await enter({ ...stranger, authority: server.authority })).toBe('no connection');
    const { createAuthority, issueCertificate } = await import('../../../src/security/certificates.ts');
    const longAgo = Date.now() - 10 * 86_400_000;
    const old = await createAuthority('old', 100, longAgo);
    const make = async (role: 'worker' | 'coordinator', days: number) => {
      const pair = await issueCertificate(old, { role, name: 'x' }, [], days, longAgo);
      return { ...server, authority: Buffer.from(old.certificate), certificate: Buffer.from(pair.certificate), key: Buffer.from(pair.key) };
    };
    const [valid, ended] = [await make('worker', 50), await make('worker', 1)];
    expect(await enter(valid, await make('coordinator', 50))).toBe('connected');
    expect(await enter(ended, await make('coordinator', 50))).toBe('no connection');
  });

  it('keeps out who has another role', async () => {
    expect(await enter(await authority.tls('operator', 'me'))).toBe('PERMISSION_DENIED');
  });

  it('does not let a worker take another worker for a coordinator', async () => {
    expect(await enter(await authority.tls('worker', 'one'), await authority.tls('worker', 'evil'))).toBe('no connection');
  });
});

describe('a sweep over mutual TLS', () => {
  async function sweep(): Promise<(tls: TlsFiles) => SweepClient> {
    const queue = new MemoryQueue({
      clock: systemClock,
      leaseMs: 5000,
      retries: { errors: 1, preemptions: 1 },
      firstEpoch: 0,
      onEnd: async () => {},
    });
    opened.push(queue);
    await queue.publish({ id: 'task-1', payload: '{}' });
    const service = createQueueService(queue, { sweepId: 's', leaseMs: 5000, isOver: () => false });
    const grpc = createSweepServer(
      { ...service.handlers, control: async () => ({ code: '', message: '', status: '{}' }) },
      { tls: server },
    );
    opened.push({ close: () => closeServer(grpc, 50) });
    const port = await bindServer(grpc, '127.0.0.1', 0, { tls: server });
    return (tls) => {
      const client = createSweepClient(`127.0.0.1:${port}`, tls);
      opened.push(client);
      return client;
    };
  }

  it('gives tasks to workers under their own names, and takes results from the holder of the claim alone', async () => {
    const connect = await sweep();
    const [one, two] = [connect(await authority.tls('worker', 'one')), connect(await authority.tls('worker', 'two'))];
    await expect(two.call('claim', { worker: 'one-1-a', waitMs: 0 }, 2000)).rejects.toMatchObject({ code: 'IDENTITY_REFUSED' });
    const { task, epoch } = await one.call('claim', { worker: 'one-1-a', waitMs: 1000 }, 2000);
    expect(task).toBe('task-1');
    for (const call of ['extend', 'release'] as const)
      expect(await two.call(call, { task, epoch }, 2000)).toMatchObject({ code: 'IDENTITY_REFUSED' });
    expect(await two.call('commit', { task, epoch, result: '{}' }, 2000)).toMatchObject({ code: 'IDENTITY_REFUSED' });
    expect(await two.call('fail', { task, epoch, code: 'X', message: '', lasting: true }, 2000)).toMatchObject({
      code: 'IDENTITY_REFUSED',
    });
    expect(await one.call('commit', { task, epoch, result: '{}' }, 2000)).toEqual({ code: '', message: '' });
  });

  it('is controlled by operators alone', async () => {
    const connect = await sweep();
    const worker = connect(await authority.tls('worker', 'one'));
    await expect(worker.call('control', { action: 'stop', candidates: 0 }, 2000)).rejects.toMatchObject({ code: 'IDENTITY_REFUSED' });
    const operator = connect(await authority.tls('operator', 'me'));
    expect(await operator.call('control', { action: 'status', candidates: 0 }, 2000)).toMatchObject({ code: '' });
    await expect(operator.call('claim', { worker: 'me-1-a', waitMs: 0 }, 2000)).rejects.toMatchObject({ code: 'IDENTITY_REFUSED' });
  });
});
