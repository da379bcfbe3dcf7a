export {
  DEFAULT_TENANT,
  type JetStreamQueueOptions,
  type JetStreamSourceOptions,
  type Leadership,
  type LeadershipOptions,
  listQuotas,
  openJetStreamQueue,
  openJetStreamSource,
  openQuotas,
  openSweepEvents,
  type Quota,
  readLeaders,
  setQuota,
  type SweepEntry,
  type SweepEventBodies,
  type SweepEventEnvelope,
  type SweepEvents,
  type SweepEventsOptions,
  type SweepEventType,
  type SweepLeader,
  type SweepPattern,
  SweepPool,
  type SweepPoolOptions,
  SweepRegistry,
  takeLeadership,
  type TakeOptions,
  TenantQuota,
} from './jetstream/index.ts';
export { FairSource, type FairSourceOptions, type SharedSource } from './fair-source.ts';
export { endWhenIdle } from './idle-source.ts';
export { claimLost, MemoryQueue, type MemoryQueueOptions } from './memory-queue.ts';
export { createQueueService, type QueueService, type QueueServiceOptions } from './queue-service.ts';
export { openRemoteSource, type RemoteSourceOptions } from './remote-source.ts';
export {
  type Claim,
  MOST_PAYLOAD_BYTES,
  type QueueCounts,
  type Retries,
  type Task,
  type TaskEnd,
  type TaskError,
  type TaskQueue,
  type TaskSource,
} from './task-queue.ts';
