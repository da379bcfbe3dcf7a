import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/index.ts';
import { type NatsLink, openNatsLink } from '../../../src/journal/index.ts';
import {
  createQueueService,
  MemoryQueue,
  openJetStreamQueue,
  openJetStreamSource,
  openRemoteSource,
  type TaskEnd,
} from '../../../src/queue/index.ts';
import { bindServer, closeServer, createSweepServer } from '../../../src/wire/index.ts';
import { NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../../support/nats-server.ts';
import { claimed, type QueueOptions, type QueueUnderTest, queueConformance, RETRIES } from './conformance.ts';

interface EmbeddedOptions extends QueueOptions {
  readonly firstEpoch?: number;
}

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function memory({ leaseMs = 10_000, firstEpoch = 0, mostClaims }: EmbeddedOptions): QueueUnderTest & { readonly queue: MemoryQueue } {
  const ends: TaskEnd[] = [];
  const queue = new MemoryQueue({
    clock: systemClock,
    leaseMs,
    retries: RETRIES,
    firstEpoch,
    mostClaims,
    onEnd: async (end) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      ends.push(end);
    },
  });
  closers.push(() => queue.close());
  return { queue, source: queue, durable: async () => ends };
}

async function remote(options: EmbeddedOptions): Promise<QueueUnderTest & { readonly queue: MemoryQueue }> {
  const { queue, durable } = memory(options);
  const { handlers } = createQueueService(queue, { sweepId: 'test', leaseMs: options.leaseMs ?? 10_000, isOver: () => true });
  const server = createSweepServer({ ...handlers, control: async () => ({ code: '', message: '', status: '' }) });
  const port = await bindServer(server, '127.0.0.1', 0);
  const source = await openRemoteSource({ address: `127.0.0.1:${port}`, patienceMs: 500 });
  closers.push(
    () => closeServer(server, 0),
    () => source.close(),
  );
  return { queue, source, durable };
}

let server: NatsServer;
beforeAll(async () => {
  if (NATS_SERVER !== undefined) server = await startNatsServer();
});
afterAll(() => server?.close());

let sweeps = 0;
async function jetStream({ leaseMs = 10_000, mostClaims }: QueueOptions): Promise<QueueUnderTest> {
  const link = (): Promise<NatsLink> => openNatsLink({ servers: server.url, patienceMs: 2_000 });
  const [coordinator, worker] = [await link(), await link()];
  const options = { link: coordinator, sweepId: `queue-${++sweeps}`, definition: 'd', leaseMs, retries: RETRIES, mostClaims };
  const queue = await openJetStreamQueue(options);
  const source = await openJetStreamSource({ link: worker, sweepId: options.sweepId });
  closers.push(
    () => coordinator.close(),
    () => worker.close(),
    () => queue.close(),
    () => source.close(),
  );
  const durable = async () => {
    const next = await openJetStreamQueue(options);
    await next.close();
    const ends: TaskEnd[] = [];
    for await (const end of next.ends()) ends.push(end);
    return ends;
  };
  return { queue, source, durable };
}

queueConformance('embedded queue', async (options) => memory(options));
queueConformance('embedded queue through gRPC', remote);
queueConformance(`queue on JetStream${NATS_SKIPPED}`, jetStream, NATS_SERVER === undefined);

describe.each([
  ['embedded queue', async (options: EmbeddedOptions) => memory(options)],
  ['embedded queue through gRPC', remote],
] as const)('%s', (_, open) => {
  it('lets a worker of an earlier process go on with its task, unless another has it now', async () => {
    const before = await open({ firstEpoch: 1000 });
    for (const id of ['a', 'b']) await before.queue.publish({ id, payload: '' });
    const [one, two] = [await claimed(before.source), await claimed(before.source)];
    // The process after it, with the same tasks; what it says of claims stands for what its server answers.
    const { queue, source, durable } = await open({ firstEpoch: 2000 });
    for (const id of ['a', 'b']) await queue.publish({ id, payload: '' });
    queue.extend(one.task.id, one.epoch);
    const other = await claimed(source);
    expect(other.task.id).toBe(two.task.id);
    expect(() => queue.extend(two.task.id, two.epoch)).toThrow('is lost');
    await queue.commit(one.task.id, one.epoch, 'kept');
    expect(await durable()).toMatchObject([{ task: one.task.id, result: 'kept', epoch: one.epoch }]);
  });
});
