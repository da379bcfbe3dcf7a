import { describe, expect, it } from 'vitest';
import { resumeHistory } from '../../../src/coordinator/resume-history.ts';
import type { JournalRecord } from '../../../src/journal/index.ts';

const records = (events: readonly object[]) => events.map((event) => ({ event })) as unknown as JournalRecord[];
const step = (at: number, samples = 16) => ({ type: 'step-committed', step: at, samples });
const stepsOf = (samples: number) => samples / 16;

describe('resume history', () => {
  it('resumes: are counted with the steps that each made void, that of this process included', () => {
    const lines = records([step(0), step(1), step(2), { type: 'run-resumed', fromStep: 1 }, step(1), step(2), step(3, 32)]);
    expect(resumeHistory(lines, stepsOf, undefined)).toEqual({ resumes: 1, recomputedSteps: 2 });
    expect(resumeHistory(lines, stepsOf, 2)).toEqual({ resumes: 2, recomputedSteps: 5 });
  });

  it('resumes: one right after another, and before the first step, make nothing void twice', () => {
    const resumed = (fromStep: number) => ({ type: 'run-resumed', fromStep });
    const lines = records([
      { type: 'run-started' },
      resumed(0),
      step(0),
      step(1),
      { type: 'worker-left' },
      resumed(1),
      resumed(1),
      resumed(0),
    ]);
    expect(resumeHistory(lines, stepsOf, 0)).toEqual({ resumes: 5, recomputedSteps: 2 });
  });

  it('fork: begins at its step, which nothing made void', () => {
    expect(resumeHistory(records([{ type: 'run-forked', step: 40 }, step(40)]), stepsOf, 41)).toEqual({ resumes: 1, recomputedSteps: 0 });
  });
});
