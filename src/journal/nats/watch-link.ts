/** @file Reads figures of a connection to NATS, and of the streams of a sweep, every few seconds; never in the way of what uses them. */
import type { StreamInfo } from '@nats-io/jetstream';
import type { SweepMetrics } from '../../telemetry/index.ts';
import type { NatsLink } from './link.ts';
import { sweepNames } from './names.ts';

/** Workers of sweeps have these, too. */
export type LinkMetrics = Pick<SweepMetrics, 'natsConnected' | 'natsReconnects' | 'natsRoundTripSeconds'>;
export type StreamMetrics = Pick<
  SweepMetrics,
  | 'natsStreamMessages'
  | 'natsStreamBytes'
  | 'natsStreamReplicas'
  | 'natsStreamLeader'
  | 'natsPending'
  | 'natsAckPending'
  | 'natsRedelivered'
  | 'natsWaiting'
  | 'natsSampled'
>;

const EVERY_MS = 5_000;

/** Connection and round trip. @returns what ends it; it ends with the link, too */
export function watchLink(link: NatsLink, metrics: LinkMetrics): () => void {
  metrics.natsConnected.set(link.isConnected ? 1 : 0);
  const stopListening = link.onReconnect(() => metrics.natsReconnects.inc());
  return every(link, stopListening, async () => {
    metrics.natsConnected.set(link.isConnected ? 1 : 0);
    if (link.isConnected) metrics.natsRoundTripSeconds.observe((await link.connection.rtt()) / 1000);
  });
}

/** Streams and consumer of a sweep, as they are now and then. @returns what ends it; it ends with the link, too */
export function watchStreams(link: NatsLink, sweepId: string, metrics: StreamMetrics): () => void {
  const { taskStream, journalStream, eventStream, bucket, consumer } = sweepNames(sweepId);
  const streams = { tasks: taskStream, journal: journalStream, events: eventStream, claims: `KV_${bucket}` };
  return every(
    link,
    () => {},
    async () => {
      if (!link.isConnected) return;
      const { streams: manager, consumers } = link.jsm;
      const names = Object.entries(streams);
      const [found, workers] = await Promise.all([
        Promise.all(names.map(async ([stream, name]) => [stream, await manager.info(name)] as const)),
        consumers.info(taskStream, consumer),
      ]);
      metrics.natsStreamLeader.reset();
      for (const [stream, info] of found) show(metrics, stream, info);
      metrics.natsPending.set(workers.num_pending);
      metrics.natsAckPending.set(workers.num_ack_pending);
      metrics.natsRedelivered.set(workers.num_redelivered);
      metrics.natsWaiting.set(workers.num_waiting);
      metrics.natsSampled.set(Date.now() / 1000);
    },
  );
}

function show(metrics: StreamMetrics, stream: string, { state, cluster }: StreamInfo): void {
  metrics.natsStreamMessages.set({ stream }, state.messages);
  metrics.natsStreamBytes.set({ stream }, state.bytes);
  const replicas = cluster?.replicas ?? [];
  // A server alone says nothing of a cluster and leads all there is.
  const hasLeader = cluster === undefined || (cluster.leader ?? '') !== '';
  const isCurrent = replicas.map(({ current, offline }) => (offline === true ? 'offline' : current ? 'current' : 'lagging'));
  for (const copy of ['current', 'lagging', 'offline'] as const) {
    const count = isCurrent.filter((each) => each === copy).length + (copy === 'current' && hasLeader ? 1 : 0);
    metrics.natsStreamReplicas.set({ stream, state: copy }, count);
  }
  if (hasLeader) metrics.natsStreamLeader.set({ stream, server: cluster?.leader ?? 'alone' }, 1);
}

/** At once, then every few seconds, one at a time. What fails, as while the server is away, is tried at the next turn. */
function every(link: NatsLink, onStop: () => void, action: () => Promise<void>): () => void {
  let isBusy = false;
  const turn = (): void => {
    if (link.isClosed) return stop();
    if (isBusy) return;
    isBusy = true;
    action()
      .catch(() => {})
      .finally(() => {
        isBusy = false;
      });
  };
  const timer = setInterval(turn, EVERY_MS);
  timer.unref();
  const stop = (): void => {
    clearInterval(timer);
    onStop();
  };
  turn();
  return stop;
}
