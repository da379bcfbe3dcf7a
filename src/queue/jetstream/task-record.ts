/**
 * @file What the KV bucket of a sweep says of one task, and how it changes. Each change is one compare-and-swap of the whole record, so
 * that claim, budget and end can't contradict each other: a result is committed only while its worker's claim is the newest.
 *
 * ```
 * waiting --taken--> claimed --committed--> ended
 *    ^                  |  failed, lost (budget used up) --> ended
 *    +--failed, given back, lost--+
 * waiting, claimed --withdrawn--> withdrawn --published again--> waiting
 * ```
 */
import { claimLost } from '../memory-queue.ts';
import type { Retries, TaskEnd, TaskError } from '../task-queue.ts';

export interface TaskRecord {
  readonly state: 'waiting' | 'claimed' | 'ended' | 'withdrawn';
  /** Of the last claim; 0 before the first. */
  readonly epoch: number;
  /** Who made the last claim. */
  readonly worker: string;
  /** Unique name of the last claim; empty when it was taken away. */
  readonly claim: string;
  /** Rises with each sign of the worker. */
  readonly beats: number;
  readonly errors: number;
  readonly preemptions: number;
  /** Messages that the task has had in the stream before the present one. */
  readonly renewals: number;
  /** Epoch at the last renewal. */
  readonly renewedAt: number;
  /** Of an ended task. */
  readonly end?: TaskEnd;
}

export const FRESH: TaskRecord = {
  state: 'waiting',
  epoch: 0,
  worker: '',
  claim: '',
  beats: 0,
  errors: 0,
  preemptions: 0,
  renewals: 0,
  renewedAt: -1,
};

/** Nobody will do anything with it any more. */
export function isClosed({ state }: Pick<TaskRecord, 'state'>): boolean {
  return state === 'ended' || state === 'withdrawn';
}

export function holds({ state, claim }: TaskRecord, ours: string): boolean {
  return state === 'claimed' && claim === ours;
}

/**
 * @param revision of the bucket, at which the record stood. It rises with every write of any record, so that the claims of a task that was
 * published after another one's end have higher epochs: tasks of one trial share a folder.
 */
export function taken(record: TaskRecord, revision: number, worker: string, claim: string): TaskRecord {
  return { ...record, state: 'claimed', epoch: revision + 1, worker, claim, beats: 0 };
}

/** A sign of the worker. */
export function extended(id: string, record: TaskRecord | undefined, claim: string): TaskRecord {
  const held = checked(id, record, claim);
  return { ...held, beats: held.beats + 1 };
}

/** The result is committed; once more for the same one, as when it isn't known whether the first time got through. */
export function committed(id: string, record: TaskRecord | undefined, claim: string, result: string): TaskRecord {
  if (record?.claim === claim && record.end?.kind === 'result' && record.end.result === result) return record;
  const held = checked(id, record, claim);
  return ended(held, { kind: 'result', task: id, result, worker: held.worker, epoch: held.epoch });
}

/** The worker has met an error. */
export function failed(
  id: string,
  record: TaskRecord | undefined,
  { claim, error, isLasting, retries }: { claim: string; error: TaskError; isLasting: boolean; retries: Retries },
): TaskRecord {
  if (record?.claim === claim && (record.state === 'waiting' || record.end?.kind === 'failed')) return record;
  const held = checked(id, record, claim);
  const counted: TaskRecord = { ...held, errors: held.errors + 1 };
  if (!isLasting && counted.errors <= retries.errors) return { ...counted, state: 'waiting' };
  return ended(counted, { kind: 'failed', task: id, error, worker: held.worker, epoch: held.epoch });
}

/** The worker gives it back. */
export function givenBack(id: string, record: TaskRecord | undefined, claim: string): TaskRecord {
  if (record?.claim === claim && record.state === 'waiting') return record;
  return { ...checked(id, record, claim), state: 'waiting' };
}

/** The worker has given no sign for too long. */
export function lost(id: string, record: TaskRecord, retries: Retries): TaskRecord {
  const { worker, epoch } = record;
  const preemptions = record.preemptions + 1;
  const waiting: TaskRecord = { ...record, state: 'waiting', claim: '', preemptions };
  if (preemptions <= retries.preemptions) return waiting;
  const message = `its workers were lost ${preemptions} times, the last one "${worker}"`;
  return ended(waiting, { kind: 'failed', task: id, error: { code: 'WORKERS_LOST', message }, worker, epoch });
}

/**
 * Its message can't be delivered any more and is replaced. When nobody has claimed the task since the last time, something must be
 * wrong with whom it is delivered to: counted like a lost worker, so that it comes to an end.
 */
export function renewed(id: string, record: TaskRecord, retries: Retries): TaskRecord {
  const counted = record.epoch === record.renewedAt ? lost(id, record, retries) : record;
  return { ...counted, renewals: record.renewals + 1, renewedAt: record.epoch };
}

/** Published again after it was withdrawn. */
export function reopened(record: TaskRecord): TaskRecord {
  return { ...FRESH, epoch: record.epoch, renewals: record.renewals + 1 };
}

export function withdrawn(record: TaskRecord): TaskRecord {
  return isClosed(record) ? record : { ...record, state: 'withdrawn', claim: '' };
}

function ended(record: TaskRecord, end: TaskEnd): TaskRecord {
  return { ...record, state: 'ended', end };
}

/** @throws DeepDefenseError CLAIM_LOST */
function checked(id: string, record: TaskRecord | undefined, claim: string): TaskRecord {
  if (record !== undefined && holds(record, claim)) return record;
  throw claimLost(id, whyLost(record, claim));
}

function whyLost(record: TaskRecord | undefined, claim: string): string {
  switch (record?.state) {
    case undefined:
      return 'the queue does not know the task';
    case 'ended':
      return 'the task has ended';
    case 'withdrawn':
      return 'the task was withdrawn';
    case 'claimed':
      return `worker "${record.worker}" has it`;
    case 'waiting':
      return record.claim === claim ? 'it was given back' : 'its worker gave no sign for too long';
  }
}
