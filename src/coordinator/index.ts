export {
  AUDIT_CHECKS,
  type AuditCheck,
  type AuditReport,
  auditRun,
  type LedgerStep,
  readHistory,
  type RunHistory,
  sha256After,
  stepsAfter,
} from './audit.ts';
export {
  type Checkpoint,
  type CheckpointReceipt,
  encodeCheckpoint,
  loadCheckpoint,
  type LoadOptions,
  parametersHash,
  saveCheckpoint,
} from './checkpoint.ts';
export { CheckpointFolder, checkpointFiles, loadNewestCheckpoint, type SkippedCheckpoint } from './checkpoint-folder.ts';
export { type ConfigDifference, differingKeys } from './config-difference.ts';
export { type CoordinatorHandle, type CoordinatorOptions, startCoordinator } from './coordinator.ts';
export { type EvaluationHandle, type EvaluationOptions, startEvaluation } from './evaluation-coordinator.ts';
export type { EvaluationEvent, EvaluationOutcome, FinishedPass } from './evaluation-events.ts';
export type { EvaluationNetwork, EvaluationQuestion } from './evaluation-question.ts';
export type { GoodputReport, WorkerTime } from './goodput.ts';
export { type ForkPoint, type RobustResult, type RunEvent, type RunResult, type StepEvent } from './run-events.ts';
export { checkBuild, findResumePoint, type ResumePoint } from './resume.ts';
export { createRunPlan, type RunPlan, untilSteps } from './run-plan.ts';
export type { Standby } from './folder-backend.ts';
export { askByNats } from './nats-control.ts';
export { type NatsMark, readNatsMark } from './nats-mark.ts';
export { SWEEP_ADDRESS, SWEEP_JOURNAL, SWEEP_RECORD, TRIALS_FOLDER } from './sweep-backend.ts';
export type { ControlRequest } from './sweep-control.ts';
export type { SweepHandle } from './sweep-coordinator.ts';
export { extendSweep, fetchSweep, prioritiseSweep, type SweepPlace, startSweep, type StartSweepOptions } from './sweep-opening.ts';
export { metricsOfSweep } from './sweep-observer.ts';
export type { SweepProgress } from './sweep-progress.ts';
export { planSweep, type SweepPlan, type SweepPlanOptions } from './sweep-plan.ts';
export { outcomeOf, sweepRecordOf } from './sweep-record-of.ts';
export { SweepState } from './sweep-state.ts';
export { gfaScaleAt, learningRateAt, scheduleOf } from './schedule.ts';
