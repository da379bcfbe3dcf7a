/** @file What the streams, buckets and subjects of a sweep are called. docs/nats.md lists them for operators. */
import { DeepDefenseError } from '../../core/index.ts';

/** Names of one sweep. */
export interface SweepNames {
  readonly sweep: string;
  /** Work queue of tasks; the subject of a task is `tasks` + its id. */
  readonly taskStream: string;
  readonly tasks: string;
  /** Durable consumer that all workers share. */
  readonly consumer: string;
  /** KV bucket of claims, ends and settings. */
  readonly bucket: string;
  /** Core subject on which workers are told to look at the settings again. */
  readonly wakeUp: string;
  /** Core subject on which the coordinator answers operators. */
  readonly control: string;
  readonly journalStream: string;
  readonly journal: string;
  readonly eventStream: string;
  /** The subject of an event is `events` + its type. */
  readonly events: string;
}

/** KV bucket with one key per sweep: who leads it. */
export const LEADERS_BUCKET = 'deepdefense_leaders';
/** KV bucket with one key per sweep: what workers and operators must know of it. */
export const SWEEPS_BUCKET = 'deepdefense_sweeps';
/** KV bucket with two keys per tenant: how many trials it may have under way, and which those are. */
export const QUOTAS_BUCKET = 'deepdefense_quotas';
/** Sweeps of these names would have the bucket of all sweeps for their own. */
const RESERVED: readonly string[] = ['leaders', 'sweeps', 'quotas'];

const SWEEP_NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** Also the characters of a KV key. */
const TASK_ID = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const LONGEST_TASK_ID = 200;

/** @throws DeepDefenseError USAGE when `sweep` can't be part of a subject */
export function sweepNames(sweep: string): SweepNames {
  if (!SWEEP_NAME.test(sweep)) {
    throw new DeepDefenseError('USAGE', {
      what: "a sweep's name can't be used on NATS",
      expected: '1 to 64 letters, digits, "-" or "_"',
      got: JSON.stringify(sweep),
      todo: 'name the sweep otherwise',
    });
  }
  if (RESERVED.includes(sweep)) {
    throw new DeepDefenseError('USAGE', {
      what: `"${sweep}" is what something else on NATS is called`,
      expected: `another name than ${RESERVED.join(', ')}`,
      todo: 'name the sweep otherwise',
    });
  }
  const subject = `deepdefense.${sweep}`;
  const stream = `DEEPDEFENSE_${sweep}`;
  return {
    sweep,
    taskStream: `${stream}_TASKS`,
    tasks: `${subject}.tasks.`,
    consumer: 'workers',
    bucket: `deepdefense_${sweep}`,
    wakeUp: `${subject}.wake-up`,
    control: `${subject}.control`,
    journalStream: `${stream}_JOURNAL`,
    journal: `${subject}.journal`,
    eventStream: `${stream}_EVENTS`,
    events: `${subject}.events.`,
  };
}

/** @throws DeepDefenseError USAGE when `id` can't be the end of a subject */
export function checkTaskId(id: string): void {
  if (TASK_ID.test(id) && id.length <= LONGEST_TASK_ID) return;
  throw new DeepDefenseError('USAGE', {
    what: "a task's id can't be used on NATS",
    expected: `letters, digits, "-", "_" and single dots, ${LONGEST_TASK_ID} characters at most`,
    got: JSON.stringify(id),
  });
}
