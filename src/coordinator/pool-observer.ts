/** @file What the worker pool tells the rest of the coordinator: for metrics, logs, the journal and progress. */
import type { DeepDefenseError, ErrorCode } from '../core/index.ts';
import type { Hello, Ready } from '../wire/index.ts';
import type { Answer, Job } from './job.ts';
import type { Grant, Revocation } from './leases.ts';
import type { Member } from './membership.ts';

/** A job can't go on for want of workers. */
export interface Waiting {
  readonly job: Job;
  /** Ready workers that are needed to go on. */
  readonly needed: number;
  readonly ready: number;
  /** Workers that open data or compile. */
  readonly preparing: number;
  /** Workers that are connected and haven't been heard for longer than a lease. */
  readonly silent: number;
  /** Code and message of the last failure that a worker reported. */
  readonly lastFailure: string | undefined;
}

/** Why a member is gone. */
export type LeaveReason = 'goodbye' | 'disconnected' | 'silent' | 'refused' | 'finished';
/** Why leases were taken back: `lost` = their worker is gone or silent, `deadline` = it took too long, `failed` = it said so. */
export type ExpiryReason = 'lost' | 'deadline' | 'failed';

/** Why a worker is quarantined. */
export type QuarantineReason = Exclude<ExpiryReason, 'lost'> | 'silent';

/** All methods are optional and must not call back into the pool. */
export interface PoolObserver {
  workerJoined?(member: Member, hello: Hello): void;
  workerReady?(member: Member, ready: Ready): void;
  workerSilent?(member: Member): void;
  /** The worker gets no new lease for this long, unless nobody else is ready. */
  workerQuarantined?(member: Member, lengthMs: number, reason: QuarantineReason): void;
  workerRefused?(member: Member, error: DeepDefenseError): void;
  workerLeft?(member: Member, reason: LeaveReason, detail: string): void;
  leaseGranted?(member: Member, job: Job, grant: Grant): void;
  /** Units of the job went back to be leased again. */
  leaseExpired?(member: Member, job: Job, revocation: Revocation, reason: ExpiryReason): void;
  /** Leases were taken back after `deadlineMs` from workers of which nothing says that they are slower than others. */
  deadlineTooShort?(job: Job, deadlineMs: number): void;
  answerAccepted?(member: Member, answer: Answer): void;
  answerDuplicate?(member: Member): void;
  /** An answer that isn't finite was set aside: its units are computed by another worker first. */
  answerDoubted?(member: Member, job: Job): void;
  /** Somebody else was faster with the same units; nothing is wrong with either. */
  answerSuperseded?(member: Member): void;
  answerRefused?(member: Member, code: ErrorCode, why: string): void;
  waiting?(waiting: Waiting): void;
  waitingEnded?(): void;
}
