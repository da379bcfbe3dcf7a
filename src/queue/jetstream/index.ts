export {
  openSweepEvents,
  type SweepEventBodies,
  type SweepEventEnvelope,
  type SweepEvents,
  type SweepEventsOptions,
  type SweepEventType,
} from './events.ts';
export { type JetStreamQueueOptions, openJetStreamQueue } from './jetstream-queue.ts';
export { type JetStreamSourceOptions, openJetStreamSource } from './jetstream-source.ts';
export { type Leadership, type LeadershipOptions, takeLeadership, type TakeOptions } from './leadership.ts';
