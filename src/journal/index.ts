export type {
  CandidateChosen,
  FailedRetried,
  SweepControlled,
  SweepEvent,
  SweepFinished,
  SweepOpened,
  SweepStarted,
  TrialMeasured,
} from './sweep-events.ts';
export {
  type CheckpointWritten,
  type CountedBlock,
  type EvaluationFinished,
  effectiveSteps,
  effectiveStepsAs,
  type GoodputSoFar,
  type JournalEvent,
  type LeaseExpired,
  type RunFinished,
  type RunForked,
  type RunInitialised,
  type RunResumed,
  type RunStarted,
  type StepCommitted,
  type WorkerJoined,
  type WorkerLeft,
} from './events.ts';
export {
  type CutTail,
  FileJournal,
  type FileJournalOptions,
  type FsyncPolicy,
  type JournalContent,
  type JournalDisk,
  type JournalFile,
  type JournalRecord,
  readJournal,
} from './file-journal.ts';
export type { JournalMetrics } from './journal-metrics.ts';
export { positionsOf } from './line-reader.ts';
export type { EventLog, OpenedLog } from './event-log.ts';
export { type JetStreamJournalOptions, openJetStreamJournal } from './jetstream-journal.ts';
export {
  checkConfig,
  checkTaskId,
  describeStream,
  ensureStream,
  findDefinition,
  findSharedBucket,
  findStream,
  isConflict,
  isSecure,
  isTransient,
  type LinkMetrics,
  JS_ERROR,
  jetStreamCode,
  LEADERS_BUCKET,
  type NatsLink,
  type NatsOptions,
  natsError,
  openNatsLink,
  openSharedBucket,
  QUOTAS_BUCKET,
  type StreamWish,
  SWEEPS_BUCKET,
  type SweepNames,
  sweepNames,
  watchLink,
  watchStreams,
} from './nats/index.ts';
export { tooLarge } from './too-large.ts';
export { lineOf } from './seal.ts';
