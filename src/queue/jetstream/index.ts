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
export {
  type Leadership,
  type LeadershipOptions,
  readLeaders,
  type SweepLeader,
  takeLeadership,
  type TakeOptions,
} from './leadership.ts';
export { SweepPool, type SweepPoolOptions, type SweepPattern } from './sweep-pool.ts';
export { DEFAULT_TENANT, type SweepEntry, SweepRegistry } from './sweep-registry.ts';
export { listQuotas, openQuotas, type Quota, setQuota, TenantQuota } from './tenant-quota.ts';
