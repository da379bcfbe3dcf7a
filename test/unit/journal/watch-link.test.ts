import { afterEach, describe, expect, it, vi } from 'vitest';
import { openJetStreamJournal, openNatsLink, watchLink, watchStreams } from '../../../src/journal/index.ts';
import { openJetStreamQueue, openJetStreamSource, openSweepEvents } from '../../../src/queue/index.ts';
import { createMetrics } from '../../../src/telemetry/index.ts';
import { NATS_SERVER, NATS_SKIPPED, type NatsServer, startNatsServer } from '../../support/nats-server.ts';

let server: NatsServer | undefined;
afterEach(async () => {
  await server?.close();
});

describe.skipIf(NATS_SERVER === undefined)(`NATS metrics${NATS_SKIPPED}`, () => {
  it('link and streams: show connection, round trips, messages, leader, and what workers have', { timeout: 60_000 }, async () => {
    server = await startNatsServer();
    const link = await openNatsLink({ servers: server.url });
    const metrics = createMetrics('sweep', { processMetrics: false });
    const about = { link, sweepId: 'seen', definition: 'd' };
    const { journal } = await openJetStreamJournal<{ type: string }>({ ...about, metrics });
    await openSweepEvents(about);
    const queue = await openJetStreamQueue({
      ...about,
      leaseMs: 5_000,
      retries: { errors: 1, preemptions: 1 },
      mostClaims: undefined,
      metrics,
    });
    await journal.append({ type: 'one' });
    for (const id of ['a', 'b', 'c']) await queue.publish({ id, payload: '{}' });
    const source = await openJetStreamSource({ link, sweepId: 'seen' });
    const claim = await source.claim('w', new AbortController().signal);
    const stops = [watchLink(link, metrics), watchStreams(link, 'seen', metrics)];
    await vi.waitFor(async () => expect(await metrics.render()).toContain('deepdefense_nats_consumer_ack_pending_messages 1\n'), 20_000);
    const text = await metrics.render();
    expect(text).toContain('deepdefense_nats_connected 1\n');
    expect(text).toMatch(/deepdefense_nats_round_trip_seconds_count [1-9]/);
    expect(text).toContain('deepdefense_nats_stream_messages{stream="tasks"} 3\n');
    expect(text).toContain('deepdefense_nats_stream_messages{stream="journal"} 1\n');
    expect(text).toContain('deepdefense_nats_consumer_pending_messages 2\n');
    expect(text).toContain('deepdefense_nats_stream_replicas{stream="tasks",state="current"} 1\n');
    expect(text).toMatch(/deepdefense_nats_stream_leader_info\{stream="claims",server="\w+"\} 1\n/);
    expect(text).toContain('deepdefense_journal_lines_total 1\n');
    await claim?.commit('{}');
    await vi.waitFor(
      async () => expect(await metrics.render()).toContain('deepdefense_sweep_claims_total{outcome="committed"} 1\n'),
      20_000,
    );
    for (const stop of stops) stop();
    await source.close();
    await queue.close();
    await link.close();
  });
});
