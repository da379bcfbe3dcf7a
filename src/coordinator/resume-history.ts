/** @file What the journal of a run says of its resumes. */
import type { JournalEvent, JournalRecord } from '../journal/index.ts';

/** Sums over all processes of a run so far. */
export interface ResumeHistory {
  readonly resumes: number;
  /** Committed steps that resumes made void. */
  readonly recomputedSteps: number;
}

/**
 * @param records all lines so far
 * @param stepsOf how many steps so many samples are
 * @param nowFrom step that this process goes on from, when it resumes and its line isn't written yet
 */
export function resumeHistory(
  records: readonly JournalRecord<JournalEvent>[],
  stepsOf: (samples: number) => number,
  nowFrom: number | undefined,
): ResumeHistory {
  let [resumes, recomputedSteps, committed] = [0, 0, 0];
  const goOn = (fromStep: number): void => {
    resumes += 1;
    recomputedSteps += Math.max(0, committed - fromStep);
    committed = fromStep;
  };
  for (const { event } of records) {
    if (event.type === 'step-committed') committed = event.step + stepsOf(event.samples);
    else if (event.type === 'run-forked') committed = event.step;
    else if (event.type === 'run-resumed') goOn(event.fromStep);
  }
  if (nowFrom !== undefined) goOn(nowFrom);
  return { resumes, recomputedSteps };
}
