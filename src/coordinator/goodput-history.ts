/**
 * @file Goodput of the processes of a run before this one, from its journal: a checkpoint, a resume and an end record all worker time
 * up to them, and what came after the last of these follows from the records behind it. Pure.
 */
import type { GoodputSoFar, JournalEvent, JournalRecord } from '../journal/index.ts';
import { type GoodputReport, noTime, WORKER_TIMES, type WorkerSeconds } from './goodput.ts';

/**
 * What a checkpoint, a resume and an end record; what is 0 is left out.
 * @param readyWorkers workers that are ready, silent ones among them
 */
export function goodputSoFar({ seconds }: GoodputReport, readyWorkers: number): GoodputSoFar {
  const rounded = WORKER_TIMES.map((name) => [name, Math.round(seconds[name] * 1000) / 1000] as const);
  return { readyWorkers, seconds: Object.fromEntries(rounded.filter(([, value]) => value > 0)) };
}

export interface EarlierGoodputOptions {
  /** Committed steps that the run goes on from; later ones are void. */
  readonly fromStep: number;
  /** When it goes on, in ms since the epoch. */
  readonly nowMs: number;
  /** Workers wait for a lost coordinator no longer than this, in ms. */
  readonly longestWaitMs: number;
}

/**
 * Worker time of a run before it goes on. Behind the last record of it, the workers' time is that of those that were ready: `useful`
 * are the steps that are kept, `recomputed` those that are void, `evaluation` the evaluations, and `coordinator` is the rest, what was
 * under way when the process ended and the wait for the next one included. Steps that the run had counted as useful and that are void
 * now, because a checkpoint was lost, are recomputed, too.
 *
 * Looks at the records from the end and no further than it must.
 * @returns seconds by class; all 0 for a journal of an older version, which doesn't say.
 */
export function earlierGoodput(
  records: readonly JournalRecord[],
  { fromStep, nowMs, longestWaitMs }: EarlierGoodputOptions,
): WorkerSeconds {
  const seconds = noTime();
  const from = records.findLastIndex(({ event }) => recorded(event) !== undefined);
  const base = records[from];
  const known = base && recorded(base.event);
  if (base === undefined || known === undefined || known === 'unknown') return seconds;
  for (const name of WORKER_TIMES) seconds[name] = known.seconds[name] ?? 0;

  const tail = records.slice(from + 1);
  let { readyWorkers } = known;
  let lastMs = Date.parse(base.at);
  let allSeconds = 0;
  let explainedSeconds = 0;
  const explain = (name: 'useful' | 'recomputed' | 'evaluation', value: number): void => {
    seconds[name] += value;
    explainedSeconds += value;
  };
  for (const { at, event } of tail) {
    const atMs = Math.max(lastMs, Date.parse(at));
    allSeconds += (readyWorkers * (atMs - lastMs)) / 1000;
    lastMs = atMs;
    if (event.type === 'worker-joined') readyWorkers += 1;
    else if (event.type === 'worker-left') readyWorkers = Math.max(0, readyWorkers - 1);
    else if (event.type === 'step-committed') explain(event.step < fromStep ? 'useful' : 'recomputed', event.computeSeconds ?? 0);
    else if (event.type === 'evaluation-finished') explain('evaluation', event.seconds * readyWorkers);
  }
  const waitMs = Math.min(Math.max(0, nowMs - lastMs), longestWaitMs);
  seconds.coordinator += Math.max(0, allSeconds - explainedSeconds) + (readyWorkers * waitMs) / 1000;

  const lost = Math.min(seconds.useful, countedSince(records, from, fromStep));
  seconds.useful -= lost;
  seconds.recomputed += lost;
  return seconds;
}

/** The worker time that an event records; `unknown` where an older version left it out, undefined for an event that has none. */
function recorded(event: JournalEvent): GoodputSoFar | 'unknown' | undefined {
  switch (event.type) {
    case 'run-started':
      return { readyWorkers: 0, seconds: {} };
    case 'run-resumed':
    case 'checkpoint-written':
    case 'run-finished':
      return event.goodput ?? 'unknown';
    case 'step-committed':
      return event.computeSeconds === undefined ? 'unknown' : undefined;
    default:
      return undefined;
  }
}

/** Seconds of the steps from `fromStep` on that counted when record `index` was written. */
function countedSince(records: readonly JournalRecord[], index: number, fromStep: number): number {
  // Before this record, steps from here on were void.
  let end = committedAt(records[index]?.event);
  let seconds = 0;
  for (let i = index - 1; i >= 0 && end > fromStep; i--) {
    const event = records[i]?.event;
    if (event?.type === 'run-resumed') end = Math.min(end, event.fromStep);
    if (event?.type !== 'step-committed' || event.step >= end) continue;
    end = event.step;
    if (event.step >= fromStep) seconds += event.computeSeconds ?? 0;
  }
  return seconds;
}

function committedAt(event: JournalEvent | undefined): number {
  if (event?.type === 'checkpoint-written') return event.step;
  if (event?.type === 'run-finished') return event.steps;
  return event?.type === 'run-resumed' ? event.fromStep : 0;
}
