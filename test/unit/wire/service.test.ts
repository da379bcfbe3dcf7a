import type { ServerHttp2Session } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  bindServer,
  closeServer,
  type CoordinatorClient,
  type CoordinatorHandlers,
  type CoordinatorMessage,
  coordinatorMessage,
  createCoordinatorClient,
  createCoordinatorServer,
  type GrpcServer,
  grpcStatus,
  isServiceError,
  sendAll,
  TensorReceiver,
  TensorSender,
  type WorkerMessage,
  workerMessage,
} from '../../../src/wire/index.ts';

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const item of opened.splice(0).reverse()) await item.close();
});

async function start(handlers: Partial<CoordinatorHandlers>): Promise<{ server: GrpcServer; client: CoordinatorClient; port: number }> {
  const server = createCoordinatorServer({ work: (stream) => stream.end(), fetchDataset: (call) => call.end(), ...handlers });
  opened.push({ close: () => closeServer(server, 50) });
  const port = await bindServer(server, '127.0.0.1', 0);
  const client = createCoordinatorClient(`127.0.0.1:${port}`);
  opened.push(client);
  return { server, client, port };
}

/** Messages that separate numbers, empty values, nested and repeated fields; every kind once. */
const workerMessages: WorkerMessage[] = [
  workerMessage('hello', { workerId: 'w-1', protocolVersion: 1, packageVersion: '0.1.0', host: 'h', processId: 4_000_000_000 }),
  workerMessage('ready', {
    schemaHash: 's',
    engineFingerprint: 'e',
    datasetHash: 'd',
    metricNames: ['loss', 'gfa/conv1/term'],
    captureMs: 1.5,
    compileMs: 2.5,
  }),
  workerMessage('heartbeat', { sentAtMs: 1.7e12 + 0.5, residentBytes: 5e9, taskId: 2 ** 53 - 1 }),
  workerMessage('chunk', { transferId: 3, offset: 2 ** 33, totalBytes: 2 ** 34, data: Buffer.from([1, 2, 3]) }),
  workerMessage('blockResult', {
    taskId: 5,
    step: 6,
    leaseEpoch: 7,
    block: { first: 0, count: 4 },
    transferId: 8,
    metricSums: [0.1, Number.NaN, -0],
    computeMs: 9.25,
  }),
  workerMessage('evaluationResult', { taskId: 1, correct: Buffer.from([1, 0, 1]), lossSum: 3.5, computeMs: 0 }),
  workerMessage('attackOutcome', {
    taskId: 3,
    correct: Buffer.from([1, 0]),
    targetCorrect: Buffer.from([0, 0]),
    distances: [0.1, 0.5, 3, 1e-6, 12, Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN],
    forwardQueries: 12,
    gradientQueries: 2 ** 40,
    computeMs: 0.5,
  }),
  workerMessage('diagnosisOutcome', { taskId: 4, json: '{}', computeMs: 1 }),
  workerMessage('initialParameters', { taskId: 1, transferId: 2 }),
  workerMessage('taskFailure', { taskId: 1, code: 'ENGINE_FAILED', message: 'ü' }),
  workerMessage('goodbye', { reason: '' }),
];

const coordinatorMessages: CoordinatorMessage[] = [
  coordinatorMessage('welcome', {
    runId: 'r',
    configJson: '{}',
    schemaHash: 's',
    datasetHash: 'd',
    engineFingerprint: '',
    heartbeatMs: 500,
    trainSamples: 50_000,
    evaluationJson: '{"seed":1}',
  }),
  coordinatorMessage('attackTask', { taskId: 3, network: 1, attack: 'pgd:steps=3', eps: 8 / 255, images: [7, 0, 9999], targets: [0, 2] }),
  coordinatorMessage('diagnosisTask', { taskId: 4, network: 0, images: [5] }),
  coordinatorMessage('refusal', { code: 'PROTOCOL_VERSION', message: 'm', retry: false }),
  coordinatorMessage('chunk', { transferId: 1, offset: 0, totalBytes: 0, data: Buffer.alloc(0) }),
  coordinatorMessage('parametersReady', { version: 0, transferId: 1 }),
  coordinatorMessage('initialiseTask', { taskId: 1 }),
  coordinatorMessage('trainTask', {
    taskId: 2,
    step: 0,
    firstPosition: 2 ** 40,
    blocks: [
      { first: 0, count: 2 },
      { first: 2, count: 1 },
    ],
    leaseEpoch: 1,
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    schedule: [
      { learningRate: 0.1, gfaScale: Math.fround(0.3) },
      { learningRate: 0.05, gfaScale: 1 },
    ],
  }),
  coordinatorMessage('evaluationTask', { taskId: 3, parameterVersion: 9, attack: 'pgd', epsLinf: 8 / 255, first: 100, count: 50 }),
  coordinatorMessage('finish', { state: 'completed', reason: '' }),
  coordinatorMessage('cancelTask', { taskId: 3 }),
];

describe('service', () => {
  it('stream: carries every message both ways with all fields, defaults included', async () => {
    const received: WorkerMessage[] = [];
    const { client } = await start({
      work: (stream) => {
        stream.on('data', (message: WorkerMessage) => received.push(message));
        stream.on('end', () => void sendAll(stream, coordinatorMessages).then(() => stream.end()));
      },
    });
    const stream = client.work();
    const answers: CoordinatorMessage[] = [];
    await sendAll(stream, workerMessages);
    stream.end();
    for await (const answer of stream as AsyncIterable<CoordinatorMessage>) answers.push(answer);
    expect(received).toEqual(workerMessages);
    expect(answers).toEqual(coordinatorMessages);
  });

  it('stream: carries a vector of 550 570 values unchanged', async () => {
    const vector = Float32Array.from({ length: 550_570 }, (_, i) => Math.sin(i));
    const receiver = new TensorReceiver({ elements: vector.length });
    const { client } = await start({
      work: (stream) => {
        stream.on('data', (message: WorkerMessage) => {
          if (message.body === 'chunk') receiver.accept(message.chunk);
        });
        stream.on('end', () => stream.end());
      },
    });
    const stream = client.work();
    const { transferId, chunks } = new TensorSender().split(vector);
    await sendAll(
      stream,
      chunks.map((chunk) => workerMessage('chunk', chunk)),
    );
    stream.end();
    for await (const _ of stream as AsyncIterable<CoordinatorMessage>);
    expect(Buffer.from(receiver.take(transferId).buffer).equals(Buffer.from(vector.buffer))).toBe(true);
  });

  it('server: offers a receive window of 8 MiB to every stream', async () => {
    const { client, server } = await start({});
    await client.waitUntilConnected(5000);
    // The only place that shows the window is the session's own settings.
    const sessions = (server as unknown as { http2Servers: Map<unknown, { sessions: Set<ServerHttp2Session> }> }).http2Servers;
    const [session] = [...sessions.values()].flatMap((entry) => [...entry.sessions]);
    await vi.waitFor(() => expect(session?.localSettings.initialWindowSize).toBe(8 * 1024 * 1024));
    expect(session?.state.localWindowSize).toBe(8 * 1024 * 1024);
  });

  it('dataset: arrives as a stream of chunks', async () => {
    const { client } = await start({
      fetchDataset: (call) => {
        const { datasetHash, offset } = call.request;
        call.write({
          offset,
          totalBytes: 100,
          data: Buffer.from(datasetHash),
          sha256: Buffer.alloc(32, 7),
          name: 'set',
          trainCount: 2,
          testCount: 1,
        });
        call.end();
      },
    });
    const chunks: unknown[] = [];
    for await (const chunk of client.fetchDataset({ datasetHash: 'abc', offset: 42 }) as AsyncIterable<unknown>) chunks.push(chunk);
    expect(chunks).toEqual([
      { offset: 42, totalBytes: 100, data: Buffer.from('abc'), sha256: Buffer.alloc(32, 7), name: 'set', trainCount: 2, testCount: 1 },
    ]);
  });

  it('bind: says PORT_IN_USE when the port is taken', async () => {
    const { port } = await start({});
    const second = createCoordinatorServer({ work: (stream) => stream.end(), fetchDataset: (call) => call.end() });
    await expect(bindServer(second, '127.0.0.1', port)).rejects.toMatchObject({ code: 'PORT_IN_USE' });
    await expect(bindServer(second, '192.0.2.1', 0)).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  });

  it('client: says CONNECT_FAILED when nobody listens', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => free.once('listening', resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const client = createCoordinatorClient(`127.0.0.1:${port}`);
    opened.push(client);
    await expect(client.waitUntilConnected(300)).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    const error = await new Promise((resolve) => client.work().once('error', resolve));
    expect(isServiceError(error) && error.code).toBe(grpcStatus.UNAVAILABLE);
  });

  it('close: cuts a stream that stays open after the grace period', async () => {
    const { client, server } = await start({ work: () => {} });
    const stream = client.work();
    const ended = new Promise((resolve) => stream.once('error', resolve));
    stream.write(workerMessages[0] as WorkerMessage);
    await client.waitUntilConnected(2000);
    await closeServer(server, 50);
    expect([grpcStatus.CANCELLED, grpcStatus.UNAVAILABLE]).toContain(((await ended) as { code: number }).code);
  });
});
