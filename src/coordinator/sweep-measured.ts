/** @file From what a worker committed to the measurement that counts. */
import { z } from 'zod';
import type { TrialMeasured } from '../journal/index.ts';
import type { TaskEnd } from '../queue/index.ts';
import type { DuePart, SweepState } from './sweep-state.ts';

/** Figures of a measurement, and characters of their names: they stay in the journal for good. */
const [MOST_DETAILS, LONGEST_NAME] = [1024, 128];

/** What a worker commits, as JSON. */
const resultSchema = z.strictObject({
  /** Figures by name. A diverged training has none. */
  details: z.record(z.string().max(LONGEST_NAME), z.number()).refine((details) => Object.keys(details).length <= MOST_DETAILS),
  seconds: z.number().min(0),
  /** Engine fingerprint; empty of a test function. */
  engine: z.string().max(1024),
  /** A trial that failed by its own doing, such as a loss that isn't finite: trying again gives the same. */
  error: z.strictObject({ code: z.string().max(64), message: z.string().max(16_384) }).optional(),
});

export type TrialResult = z.output<typeof resultSchema>;

/** The measurement; one that can't be read or lacks an objective is a failed one. */
export function measuredOf(end: TaskEnd, { part, chosen, trial }: DuePart, { trials }: SweepState): TrialMeasured {
  const { candidate, seedIndex, rung } = part;
  const common = { type: 'trial-measured', trial, candidate, seedIndex, rung, worker: end.worker, epoch: end.epoch } as const;
  const failed = (error: { code: string; message: string }, from?: TrialResult): TrialMeasured => ({
    ...common,
    values: null,
    details: from?.details ?? {},
    flags: [],
    seconds: from?.seconds ?? 0,
    engine: from?.engine ?? '',
    error,
  });
  if (end.kind === 'failed') return failed(end.error);
  const result = parse(end.result);
  if (result === undefined)
    return failed({ code: 'PROTOCOL_BAD_MESSAGE', message: `worker "${end.worker}" committed a result that can't be read` });
  if (result.error !== undefined) return failed(result.error, result);
  const values = trials.valuesOf(result.details, chosen, rung);
  if ('missing' in values) {
    const reported = Object.keys(result.details).join(', ');
    return failed(
      { code: 'CONFIG_INVALID', message: `no figure for the objective "${values.missing}"; the trial reported ${reported}` },
      result,
    );
  }
  const { details, seconds, engine } = result;
  return { ...common, values: values.values, details, flags: trials.flagsOf(details, rung), seconds, engine };
}

function parse(text: string): TrialResult | undefined {
  try {
    const parsed = resultSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
