import { afterEach, describe, expect, it } from 'vitest';
import { openNatsLink, sweepNames } from '../../../src/journal/index.ts';
import { openSweepEvents, type SweepEventEnvelope } from '../../../src/queue/index.ts';
import { NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../../support/nats-server.ts';

let server: NatsServer | undefined;
afterEach(async () => {
  await server?.close();
});

describe.skipIf(NATS_SERVER === undefined)(`events of a sweep${NATS_SKIPPED}`, () => {
  it('run.*: those told before anybody listens, and by an earlier coordinator, are there for who comes later', {
    timeout: 60_000,
  }, async () => {
    server = await startNatsServer();
    const about = { sweepId: 's', definition: 'd' };
    const first = await openNatsLink({ servers: server.url });
    const events = await openSweepEvents({ ...about, link: first });
    events.publish('run.started', { generation: 1, host: 'a' });
    events.publish('run.paused', { reason: 'asked to' });
    await first.close();
    // Nobody waits for events: one that comes too late for its connection is lost without an error.
    events.publish('run.resumed', { reason: 'asked to' });

    const second = await openNatsLink({ servers: server.url });
    (await openSweepEvents({ ...about, link: second })).publish('run.started', { generation: 2, host: 'b' });
    await second.connection.flush();
    const { eventStream } = sweepNames('s');
    const told: SweepEventEnvelope[] = [];
    for (let seq = 1; seq <= 3; seq++) {
      const message = await second.jsm.streams.getMessage(eventStream, { seq });
      if (message !== null) told.push(message.json<SweepEventEnvelope>());
    }
    expect((await second.jsm.streams.info(eventStream)).state.messages).toBe(3);
    await second.close();
    expect(told.map(({ type, number, body }) => [type, number, body])).toEqual([
      ['run.started', 1, { generation: 1, host: 'a' }],
      ['run.paused', 2, { reason: 'asked to' }],
      ['run.started', 1, { generation: 2, host: 'b' }],
    ]);
    expect(told.every(({ version, sweep }) => version === 1 && sweep === 's')).toBe(true);
  });
});
