/** @file What the journal of a run says of its resumes. */
import { type JournalRecord, positionsOf } from '../journal/index.ts';

/** Sums over all processes of a run so far. */
export interface ResumeHistory {
  readonly resumes: number;
  /** Committed steps that resumes made void. */
  readonly recomputedSteps: number;
}

/**
 * Decodes the resumes and what stands right before them, and no more of a long journal.
 * @param records all lines so far
 * @param stepsOf how many steps so many samples are
 * @param nowFrom step that this process goes on from, when it resumes and its line isn't written yet
 */
export function resumeHistory(
  records: readonly JournalRecord[],
  stepsOf: (samples: number) => number,
  nowFrom: number | undefined,
): ResumeHistory {
  let [resumes, recomputedSteps] = [0, 0];
  const goOn = (position: number, fromStep: number): void => {
    resumes += 1;
    recomputedSteps += Math.max(0, committedBefore(records, position, stepsOf) - fromStep);
  };
  for (const position of positionsOf(records, 'run-resumed')) {
    const event = records[position]?.event;
    if (event?.type === 'run-resumed') goOn(position, event.fromStep);
  }
  if (nowFrom !== undefined) goOn(records.length, nowFrom);
  return { resumes, recomputedSteps };
}

/** Steps that were committed, and not void, when record `position` was written. */
function committedBefore(records: readonly JournalRecord[], position: number, stepsOf: (samples: number) => number): number {
  for (let i = position - 1; i >= 0; i--) {
    const event = records[i]?.event;
    if (event?.type === 'step-committed') return event.step + stepsOf(event.samples);
    if (event?.type === 'run-forked') return event.step;
    if (event?.type === 'run-resumed') return event.fromStep;
  }
  return 0;
}
