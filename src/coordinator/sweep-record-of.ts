/** @file The record of a sweep (sweep.json) from its journal: nothing in it that isn't there. */
import { PACKAGE_VERSION } from '../core/index.ts';
import type { JournalRecord, SweepEvent, SweepStarted, TrialMeasured } from '../journal/index.ts';
import type { CandidateRecord, MeasurementRecord, SweepRecord } from '../sweeps/index.ts';
import { measurementKey, type SweepState } from './sweep-state.ts';

export interface RecordedSweep {
  readonly state: SweepState;
  readonly started: SweepStarted;
  readonly startedAt: string;
  readonly endedAt: string;
  /** How it ended; `running` or `paused` where it hasn't. */
  readonly outcome: SweepRecord['state'];
}

/** What is known of the end of a sweep from its journal. */
export function outcomeOf(records: readonly JournalRecord<SweepEvent>[], paused: boolean): SweepRecord['state'] {
  const last = records.findLast(({ event }) => event.type === 'sweep-opened' || event.type === 'sweep-finished')?.event;
  return last?.type === 'sweep-finished' ? last.state : paused ? 'paused' : 'running';
}

export function sweepRecordOf({ state, started, startedAt, endedAt, outcome }: RecordedSweep): SweepRecord {
  const { sweep } = state.source;
  const measured = [...state.measurements.values()];
  return {
    sweepId: started.sweepId,
    name: sweep.name,
    state: outcome,
    packageVersion: PACKAGE_VERSION,
    startedAt,
    endedAt,
    seed: sweep.seed,
    seeds: sweep.seeds,
    mode: sweep.mode,
    lanes: sweep.lanes,
    sampler: sweep.sampler.name,
    scheduler: sweep.scheduler.name,
    rungs: state.trials.rungRecords,
    objectives: state.trials.objectives,
    parameters: state.space.describe(),
    candidates: state.planner.candidates.map((status): CandidateRecord => {
      const { candidate, parameters, trials, parent } = status;
      return {
        candidate,
        parameters,
        state: status.state,
        reason: status.reason,
        trials,
        ...(parent !== undefined && { parent }),
        measurements: trials.flatMap((trial, seedIndex) => measurementsOfTrial(state, trial, sweep.seeds[seedIndex] as number)),
      };
    }),
    workerSeconds: measured.reduce((sum, { seconds }) => sum + seconds, 0),
    dataset: started.datasetName,
    engines: [...new Set(measured.map(({ engine }) => engine).filter((engine) => engine !== ''))].sort(),
    subject: state.trials.subject,
    decisionsSha256: state.planner.decisionsSha256,
  };
}

function measurementsOfTrial(state: SweepState, trial: string, seed: number): MeasurementRecord[] {
  return state.trials.rungs.flatMap(({ epochs }, rung) => {
    const measured = state.measurements.get(measurementKey(trial, rung));
    return measured === undefined ? [] : [measurementRecord(measured, seed, epochs)];
  });
}

function measurementRecord(
  { rung, values, details, flags, seconds, worker, error }: TrialMeasured,
  seed: number,
  epochs: number,
): MeasurementRecord {
  return { seed, rung, epochs, values: values ?? undefined, details, flags, seconds, worker, ...(error !== undefined && { error }) };
}
