/** @file The queue of a sweep on a NATS server that is killed, and on one whose messages are delivered too often. */
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NatsLink, openJetStreamJournal, openNatsLink, sweepNames } from '../../src/journal/index.ts';
import {
  openJetStreamQueue,
  openJetStreamSource,
  openSweepEvents,
  takeLeadership,
  type TaskEnd,
  type TaskQueue,
  type TaskSource,
} from '../../src/queue/index.ts';
import { NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../support/nats-server.ts';

const RETRIES = { errors: 1, preemptions: 1 };
const never = new AbortController().signal;
const closers: (() => Promise<unknown>)[] = [];
let server: NatsServer;

beforeEach(async () => {
  if (NATS_SERVER !== undefined) server = await startNatsServer();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await server?.close();
});

async function openLink(): Promise<NatsLink> {
  const link = await openNatsLink({ servers: server.url, patienceMs: 20_000 });
  closers.push(() => link.close());
  return link;
}

async function openQueue(leaseMs = 2_000): Promise<TaskQueue> {
  const queue = await openJetStreamQueue({ link: await openLink(), sweepId: 's', definition: 'd', leaseMs, retries: RETRIES });
  closers.push(() => queue.close());
  return queue;
}

async function openSource(): Promise<TaskSource> {
  const source = await openJetStreamSource({ link: await openLink(), sweepId: 's' });
  closers.push(() => source.close());
  return source;
}

/** Collects what the queue tells, from now on. */
function endsOf(queue: TaskQueue): TaskEnd[] {
  const ends: TaskEnd[] = [];
  void (async () => {
    for await (const end of queue.ends()) ends.push(end);
  })();
  return ends;
}

async function claimed(source: TaskSource, worker = 'w') {
  const claim = await source.claim(worker, never);
  if (claim === undefined) throw new Error('no task');
  return claim;
}

async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error('it did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe.skipIf(NATS_SERVER === undefined)(`queue on NATS${NATS_SKIPPED}`, () => {
  it('runs no task twice whose acknowledgement was lost in a crash of the server', async () => {
    const queue = await openQueue();
    const ends = endsOf(queue);
    for (let i = 0; i < 20; i++) await queue.publish({ id: `t${i}`, payload: `${i}` });
    const source = await openSource();
    for (let i = 0; i < 10; i++) {
      const claim = await claimed(source);
      await claim.commit(`"${claim.task.id}"`);
    }
    // Acknowledgements are not waited for: some are on their way.
    await server.kill();
    await server.restart();
    const after: string[] = [];
    while (after.length < 10) {
      const claim = await claimed(source);
      after.push(claim.task.id);
      await claim.commit(`"${claim.task.id}"`);
    }
    await until(() => ends.length === 20);
    expect(new Set(ends.map(({ task }) => task)).size).toBe(20);
    const link = await openLink();
    await until(async () => (await link.jsm.streams.info(sweepNames('s').taskStream)).state.messages === 0);
    expect(await source.claim('w', AbortSignal.timeout(500))).toBeUndefined();
    expect(ends).toHaveLength(20);
  });

  it('lets a worker that waits, and one that is at work, go on after the server was away', async () => {
    const queue = await openQueue(10_000);
    const source = await openSource();
    await queue.publish({ id: 'busy', payload: '' });
    const busy = await claimed(source, 'busy');
    const waiting = claimed(await openSource(), 'waiting');
    await new Promise((resolve) => setTimeout(resolve, 200));
    await server.kill();
    const commit = busy.commit('"done"');
    const publish = queue.publish({ id: 'next', payload: '' });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await server.restart();
    await commit;
    expect(await publish).toBe('published');
    expect((await waiting).task.id).toBe('next');
  });

  it('tells the next coordinator of ends that its predecessor never read, and goes on with the rest', async () => {
    const first = await openQueue();
    for (const id of ['a', 'b']) await first.publish({ id, payload: id });
    const source = await openSource();
    await (await claimed(source)).commit('"of a"');
    await server.kill();
    await server.restart();
    const second = await openQueue();
    const ends = endsOf(second);
    expect(await second.publish({ id: 'a', payload: 'a' })).toBe('duplicate');
    expect(await second.publish({ id: 'b', payload: 'b' })).toBe('duplicate');
    await (await claimed(source)).commit('"of b"');
    await until(() => ends.length === 2);
    expect(ends).toMatchObject([
      { task: 'a', result: '"of a"' },
      { task: 'b', result: '"of b"' },
    ]);
  });

  it('lets workers do their work, and no more, with the permissions of docs/nats.md', async () => {
    const page = await readFile(new URL('../../docs/nats.md', import.meta.url), 'utf8');
    const [, permissions = ''] = /```\n(authorization \{.*?)```/s.exec(page) ?? [];
    expect(permissions).not.toBe('');
    await server.close();
    server = await startNatsServer({ config: permissions.replaceAll('SWEEP', 's') });
    const login = async (user: string, password: string) => {
      const link = await openNatsLink({ servers: server.url, patienceMs: 2_000, user, password });
      closers.push(() => link.close());
      return link;
    };
    const coordinator = await login('coordinator', 'COORDINATOR-PASSWORD');
    const queue = await openJetStreamQueue({ link: coordinator, sweepId: 's', definition: 'd', leaseMs: 2_000, retries: RETRIES });
    closers.push(() => queue.close());
    const ends = endsOf(queue);
    const leadership = await takeLeadership({ link: coordinator, sweepId: 's', onLost: () => {} }, { standby: false, signal: never });
    (await openSweepEvents({ link: coordinator, sweepId: 's', definition: 'd' })).publish('run.resumed', { reason: '' });
    const { journal } = await openJetStreamJournal({ link: coordinator, sweepId: 's', definition: 'd' });
    await journal.append({ type: 'note' });
    await leadership.release();
    for (const id of ['a', 'b']) await queue.publish({ id, payload: '' });
    const worker = await login('worker', 'WORKER-PASSWORD');
    const source = await openJetStreamSource({ link: worker, sweepId: 's' });
    closers.push(() => source.close());
    const claim = await claimed(source);
    await claim.extend();
    await claim.commit('"fine"');
    await (await claimed(source)).release();
    await until(() => ends.length === 1);
    await queue.finish();
    expect(await source.claim('w', never)).toBeUndefined();
    await expect(worker.jsm.streams.delete(sweepNames('s').taskStream)).rejects.toThrow();
    await expect(openJetStreamJournal({ link: worker, sweepId: 's', definition: 'd' })).rejects.toThrow();
    await expect(openNatsLink({ servers: server.url, patienceMs: 500 })).rejects.toThrow();
  });

  it('ends a task with its reason whose message reaches nobody, and goes on with the others', async () => {
    const queue = await openQueue(500);
    const ends = endsOf(queue);
    const link = await openLink();
    const { taskStream, consumer } = sweepNames('s');
    await queue.publish({ id: 'poison', payload: '' });
    // A program that takes each message and never answers, as a worker that crashes while it reads one.
    const messages = await (await link.js.consumers.get(taskStream, consumer)).consume({ max_messages: 1 });
    closers.push(() => messages.close());
    void (async () => {
      for await (const message of messages) message.nak();
    })();
    await until(() => ends.length === 1);
    expect(ends).toMatchObject([{ kind: 'failed', task: 'poison', error: { code: 'WORKERS_LOST' } }]);
    await messages.close();
    await queue.publish({ id: 'good', payload: '' });
    await (await claimed(await openSource())).commit('"fine"');
    await until(() => ends.length === 2);
  });
});
