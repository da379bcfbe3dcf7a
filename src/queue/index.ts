export {
  type JetStreamQueueOptions,
  type JetStreamSourceOptions,
  type Leadership,
  type LeadershipOptions,
  openJetStreamQueue,
  openJetStreamSource,
  openSweepEvents,
  type SweepEventBodies,
  type SweepEventEnvelope,
  type SweepEvents,
  type SweepEventsOptions,
  type SweepEventType,
  takeLeadership,
  type TakeOptions,
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
