/** @file Limits of a server for its peers, over real connections. */
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ClusterLimits, limitsOf } from '../../../src/config/index.ts';
import type { SecurityEvent } from '../../../src/security/index.ts';
import {
  bindServer,
  type CoordinatorHandlers,
  closeServer,
  createCoordinatorClient,
  createCoordinatorServer,
  createSweepClient,
  createSweepServer,
  grpcStatus,
  type SweepHandlers,
  workerMessage,
} from '../../../src/wire/index.ts';
import { RateLimit } from '../../../src/wire/rate-limit.ts';

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const item of opened.splice(0).reverse()) await item.close();
});

const events: SecurityEvent[] = [];
const report = (event: SecurityEvent) => events.push(event);

async function start(limits: Partial<ClusterLimits>, handlers: Partial<CoordinatorHandlers> = {}) {
  events.length = 0;
  const options = { limits: { ...limitsOf({}), ...limits }, report };
  const server = createCoordinatorServer({ work: (stream) => stream.resume(), fetchDataset: (call) => call.end(), ...handlers }, options);
  opened.push({ close: () => closeServer(server, 50) });
  const port = await bindServer(server, '127.0.0.1', 0, options);
  const client = () => {
    const created = createCoordinatorClient(`127.0.0.1:${port}`);
    opened.push(created);
    return created;
  };
  return { port, client };
}

/** @returns status of the stream's end */
function endOf(stream: ReturnType<ReturnType<typeof createCoordinatorClient>['work']>): Promise<string> {
  return new Promise((resolve) => {
    stream.on('data', () => {});
    stream.on('error', (error) => resolve(grpcStatus[(error as unknown as { code: number }).code] ?? ''));
    stream.on('end', () => resolve('OK'));
  });
}

function open(port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  opened.push({ close: () => socket.destroy() });
  return socket;
}

const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', () => resolve('closed')).resume());

describe('a server', () => {
  it('cuts connections above the limit of one address and of all, and takes new ones when others have gone', async () => {
    for (const limits of [{ connectionsPerPeer: 2 }, { connections: 2 }]) {
      const { port } = await start(limits);
      const first = [open(port), open(port)];
      await Promise.all(first.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
      expect(await closed(open(port))).toBe('closed');
      expect(events).toEqual(['connection-limit']);
      first[0]?.destroy();
      await vi.waitFor(async () => {
        const again = open(port);
        expect(await Promise.race([closed(again), new Promise((resolve) => setTimeout(resolve, 200, 'open'))])).toBe('open');
      });
    }
  });

  it('cuts a connection that makes no call, and a call that says nothing, in time', async () => {
    const { port } = await start({ firstCallMs: 100, firstMessageMs: 100 });
    expect(await closed(open(port))).toBe('closed');
    expect(events).toEqual(['slow-connection']);
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    opened.push({ close: () => session.destroy() });
    for (const method of ['Work', 'FetchDataset']) {
      const call = session.request(
        { ':method': 'POST', ':path': `/deepdefense.v1.Coordinator/${method}`, 'content-type': 'application/grpc' },
        { endStream: false },
      );
      await new Promise((resolve) => call.on('error', resolve).on('close', resolve));
    }
    expect(events).toEqual(['slow-connection', 'slow-connection', 'slow-connection']);
  });

  it('leaves a connection alone that has made a call', async () => {
    const { client } = await start(
      { firstCallMs: 1000 },
      { work: (stream) => void stream.on('data', () => stream.write({ body: 'finish' } as never)) },
    );
    const stream = client().work();
    stream.on('error', () => {});
    stream.write(workerMessage('goodbye', { reason: '' }));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(events).toEqual([]);
    expect(stream.destroyed).toBe(false);
  });

  it('refuses calls above the limits, and takes new ones when others have ended', async () => {
    for (const limits of [{ callsPerPeer: 1 }, { calls: 1 }]) {
      const { port } = await start(limits);
      // Two clients of one process would share a connection, whose streams the limit holds back as well.
      const call = () => {
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        opened.push({ close: () => session.destroy() });
        return session.request({ ':method': 'POST', ':path': '/deepdefense.v1.Coordinator/Work', 'content-type': 'application/grpc' });
      };
      const first = call().on('error', () => {});
      await vi.waitFor(() => expect(first.id).toBeDefined());
      await new Promise((resolve) => setTimeout(resolve, 100));
      const statusOf = (stream: ReturnType<typeof call>, waitMs: number) =>
        new Promise((resolve) => {
          stream.on('response', (headers) => resolve(Number(headers['grpc-status'])));
          setTimeout(resolve, waitMs, 'open');
        });
      expect(await statusOf(call(), 5000)).toBe(grpcStatus.RESOURCE_EXHAUSTED);
      expect(events).toEqual(['call-limit']);
      first.close();
      await vi.waitFor(async () => expect(await statusOf(call(), 300)).toBe('open'), { timeout: 5000 });
    }
  });

  it('refuses messages that are too large for it or for their method, and bytes that are none', async () => {
    const { client, port } = await start(
      { messageBytes: 2 * 2 ** 20 },
      { work: (stream) => void stream.resume().write({ body: 'finish' } as never) },
    );
    const stream = client().work();
    stream.write(workerMessage('chunk', { transferId: 1, offset: 0, totalBytes: 8, data: Buffer.alloc(3 * 2 ** 20) }));
    expect(await endOf(stream)).toBe('RESOURCE_EXHAUSTED');
    expect(events).toEqual(['oversized-message']);
    const fetch = client().fetchDataset({ datasetHash: 'x'.repeat(100_000), offset: 0 });
    expect(await new Promise((resolve) => fetch.on('error', resolve).resume())).toMatchObject({ code: grpcStatus.INTERNAL });
    expect(events).toEqual(['oversized-message', 'oversized-message']);
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    opened.push({ close: () => session.destroy() });
    const raw = session.request({ ':method': 'POST', ':path': '/deepdefense.v1.Coordinator/Work', 'content-type': 'application/grpc' });
    raw.on('error', () => {});
    raw.write(Buffer.from([0, 0, 0, 0, 3, 255, 255, 255]));
    await vi.waitFor(() => expect(events).toEqual(['oversized-message', 'oversized-message', 'malformed-message']));
  });
});

it('a sweep refuses calls that come too often over one connection, and results that are too large', async () => {
  events.length = 0;
  const options = { limits: { ...limitsOf({}), messagesPerSecond: 5, resultBytes: 65_536, requestBytes: 1024 }, report };
  const answer = async () => ({ code: '', message: '' });
  const handlers = { extend: answer, commit: answer } as unknown as SweepHandlers;
  const server = createSweepServer(handlers, options);
  opened.push({ close: () => closeServer(server, 50) });
  const client = createSweepClient(`127.0.0.1:${await bindServer(server, '127.0.0.1', 0, options)}`);
  opened.push(client);
  await expect(client.call('commit', { task: 't', epoch: 1, result: 'x'.repeat(70_000) }, 5000)).rejects.toMatchObject({
    code: 'LIMIT_EXCEEDED',
  });
  await expect(client.call('extend', { task: 'x'.repeat(2000), epoch: 1 }, 5000)).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  expect(events).toEqual(['oversized-message', 'oversized-message']);
  const calls = await Promise.allSettled(Array.from({ length: 40 }, () => client.call('extend', { task: 't', epoch: 1 }, 5000)));
  const refused = calls.flatMap((call) => (call.status === 'rejected' ? [(call.reason as { code: string }).code] : []));
  expect(new Set(refused)).toEqual(new Set(['LIMIT_EXCEEDED']));
  expect(refused.length).toBeGreaterThan(20);
});

it('a rate limit allows twice the rate at once, then the rate', () => {
  let nowMs = 0;
  const rate = new RateLimit(10, () => nowMs);
  const taken = () => Array.from({ length: 100 }, () => rate.take()).filter(Boolean).length;
  expect(taken()).toBe(20);
  expect(taken()).toBe(0);
  nowMs += 500;
  expect(taken()).toBe(5);
  nowMs += 60_000;
  expect(taken()).toBe(20);
});
