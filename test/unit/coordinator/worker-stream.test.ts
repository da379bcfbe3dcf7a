import { afterEach, expect, it, vi } from 'vitest';
import { plainVectorMath } from '../../../src/core/index.ts';
import type { WorkerReport } from '../../../src/coordinator/worker-link.ts';
import type { WorkerPool } from '../../../src/coordinator/worker-pool.ts';
import { serveWorkerStream, type WorkerStreamOptions } from '../../../src/coordinator/worker-stream.ts';
import {
  bindServer,
  closeServer,
  createCoordinatorClient,
  createCoordinatorServer,
  type GrpcServer,
  TensorSender,
  VectorPool,
  type WorkerMessage,
  workerMessage,
} from '../../../src/wire/index.ts';

const ELEMENTS = 10;
const counter = { inc: () => {} };
let server: GrpcServer | undefined;

afterEach(async () => {
  if (server !== undefined) await closeServer(server, 100);
});

/** Messages of a client to `receive`, over real gRPC. */
async function serve(vectors: VectorPool, receive: (report: WorkerReport) => void) {
  const refused: unknown[] = [];
  const pool = {
    membership: { find: () => undefined },
    connect: () => 1,
    receive: (_: number, report: WorkerReport) => receive(report),
    disconnect: () => {},
  };
  server = createCoordinatorServer({
    work: (stream) =>
      serveWorkerStream({
        stream,
        pool: { ...pool, refuse: (_: number, error: unknown) => refused.push(error) } as unknown as WorkerPool<never>,
        vectorLength: ELEMENTS,
        vectors,
        math: plainVectorMath,
        precision: 'float32',
        metrics: { heartbeats: counter, gradientBytes: counter } as unknown as WorkerStreamOptions['metrics'],
        gauges: { memory: () => {} } as unknown as WorkerStreamOptions['gauges'],
        logger: { debug: () => {} } as unknown as WorkerStreamOptions['logger'],
      }),
    fetchDataset: (stream) => stream.end(),
  });
  const client = createCoordinatorClient(`127.0.0.1:${await bindServer(server, '127.0.0.1', 0)}`);
  const stream = client.work();
  stream.on('error', () => {});
  return { client, stream, refused };
}

const answer = (transferId: number): WorkerMessage =>
  workerMessage('blockResult', {
    taskId: transferId,
    step: 0,
    leaseEpoch: 1,
    block: { first: 0, count: 1 },
    transferId,
    metricSums: [],
    computeMs: 0,
  });

it('worker stream: gets back vectors of refused answers and of a stream that ends, not those that were adopted', async () => {
  const taken: Float32Array[] = [];
  const vectors = new VectorPool(ELEMENTS, {
    keep: Number.POSITIVE_INFINITY,
    allocate: (length) => taken[taken.push(new Float32Array(length)) - 1] as Float32Array,
  });
  const answered: Float32Array[] = [];
  const { client, stream, refused } = await serve(vectors, (report) => {
    if (report.kind !== 'block') return;
    answered.push(report.gradients);
    // The first is counted, the second refused.
    if (answered.length === 1) vectors.adopt(report.gradients);
  });
  const sender = new TensorSender(8);
  for (const value of [1, 2]) {
    const { transferId, chunks } = sender.split(new Float32Array(ELEMENTS).fill(value));
    for (const message of [...chunks.map((chunk) => workerMessage('chunk', chunk)), answer(transferId)]) stream.write(message);
  }
  await vi.waitFor(() => expect(answered).toHaveLength(2));
  expect([taken.length, vectors.free]).toEqual([2, 1]);
  expect(answered[0]?.[9]).toBe(1);
  // Half a transfer, and the end.
  stream.write(workerMessage('chunk', sender.split(new Float32Array(ELEMENTS)).chunks[0] as never));
  await vi.waitFor(() => expect(vectors.free).toBe(0));
  stream.cancel();
  await vi.waitFor(() => expect(vectors.free).toBe(1));
  expect(refused).toEqual([]);
  client.close();
});

it('worker stream: refuses a worker when there is no memory for its vector', async () => {
  const full = new Error('full');
  const vectors = new VectorPool(ELEMENTS, {
    allocate: () => {
      throw full;
    },
  });
  const { client, stream, refused } = await serve(vectors, () => {});
  stream.write(workerMessage('chunk', new TensorSender().split(new Float32Array(ELEMENTS)).chunks[0] as never));
  await vi.waitFor(() => expect(refused).toEqual([full]));
  stream.cancel();
  client.close();
});
