export {
  type CheckpointWritten,
  type CountedBlock,
  type EvaluationFinished,
  effectiveSteps,
  type JournalEvent,
  type LeaseExpired,
  type RunFinished,
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
  type JournalRecord,
  readJournal,
} from './file-journal.ts';
