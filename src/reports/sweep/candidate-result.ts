/** @file What was measured of a candidate: per objective the mean over seeds, with spread, n and interval. */
import type { CandidateRecord, MeasurementRecord, ObjectiveRecord, SweepRecord } from '../../sweeps/index.ts';
import { type MeanEstimate, meanOf } from '../statistics/student-t.ts';

/** A candidate on one rung. */
export interface CandidateResult {
  readonly candidate: CandidateRecord;
  readonly rung: number;
  /** Epochs trained. */
  readonly epochs: number;
  /** One per objective, over the seeds measured on this rung. */
  readonly estimates: readonly MeanEstimate[];
  /** Seeds measured on this rung, and those that the sweep trains every candidate with. */
  readonly seeds: number;
  readonly allSeeds: number;
  /** Whether no seed is missing: only then are candidates compared. */
  readonly complete: boolean;
  readonly flags: readonly string[];
}

type Measured = MeasurementRecord & { readonly values: readonly number[] };

/** Measurements with finite values on a rung, one per seed, by seed. */
export function measuredOn({ measurements }: CandidateRecord, rung: number): readonly Measured[] {
  const bySeed = new Map<number, Measured>();
  for (const one of measurements) if (one.rung === rung && hasValues(one)) bySeed.set(one.seed, one);
  return [...bySeed.values()].sort((a, b) => a.seed - b.seed);
}

function hasValues(measurement: MeasurementRecord): measurement is Measured {
  // JSON holds null for what isn't finite.
  const { values } = measurement as { readonly values?: readonly (number | null)[] | null };
  return values !== undefined && values !== null && values.length > 0 && values.every((value) => value !== null && Number.isFinite(value));
}

/** The result on a rung; undefined where no seed was measured. */
export function resultOn({ objectives, seeds }: SweepRecord, candidate: CandidateRecord, rung: number): CandidateResult | undefined {
  const measured = measuredOn(candidate, rung);
  const [first] = measured;
  if (first === undefined) return undefined;
  return {
    candidate,
    rung,
    epochs: first.epochs,
    estimates: objectives.map((objective, index) =>
      estimate(
        objective,
        measured.map(({ values }) => values[index] as number),
      ),
    ),
    seeds: measured.length,
    allSeeds: seeds.length,
    complete: measured.length >= seeds.length,
    flags: [...new Set(measured.flatMap(({ flags }) => flags))],
  };
}

/** An interval of shares is cut to [0, 1], outside of which there are none. */
function estimate({ unit }: ObjectiveRecord, values: readonly number[]): MeanEstimate {
  const mean = meanOf(values);
  if (unit !== 'share' || mean.interval === undefined) return mean;
  return { ...mean, interval: { low: Math.max(0, mean.interval.low), high: Math.min(1, mean.interval.high) } };
}

/**
 * The final result: on the highest rung on which all seeds were measured; where there is none, on the highest with any seed. So one seed
 * that is ahead of the others doesn't stand for the candidate. Undefined for a candidate without results.
 */
export function finalResult(record: SweepRecord, candidate: CandidateRecord): CandidateResult | undefined {
  const rungs = [...new Set(candidate.measurements.map(({ rung }) => rung))].sort((a, b) => b - a);
  const results = rungs.flatMap((rung) => resultOn(record, candidate, rung) ?? []);
  return results.find(({ seeds, allSeeds }) => seeds >= allSeeds) ?? results[0];
}

/** Complete results on a rung, in the order of the candidates. */
export function completeResults(record: SweepRecord, rung: number): readonly CandidateResult[] {
  return record.candidates.flatMap((candidate) => {
    const result = resultOn(record, candidate, rung);
    return result?.complete === true ? [result] : [];
  });
}

/** The highest rung on which a candidate is complete; undefined before that. */
export function highestRung(record: SweepRecord): number | undefined {
  return rungsOf(record).findLast((rung) => completeResults(record, rung).length > 0);
}

/**
 * The rung on which most candidates are complete, the higher of equals. Under early stopping that is the lowest, where the scheduler has
 * not selected yet: what is compared across parameters is compared there, at equal epochs and attacks.
 */
export function widestRung(record: SweepRecord): number | undefined {
  const counted = rungsOf(record).map((rung) => ({ rung, count: completeResults(record, rung).length }));
  const most = Math.max(0, ...counted.map(({ count }) => count));
  return most === 0 ? undefined : counted.findLast(({ count }) => count === most)?.rung;
}

function rungsOf({ candidates }: SweepRecord): readonly number[] {
  return [...new Set(candidates.flatMap(({ measurements }) => measurements.map(({ rung }) => rung)))].sort((a, b) => a - b);
}

/** The value as a loss: smaller is better, whatever the objective's goal. */
export function lossOf({ goal }: ObjectiveRecord, value: number): number {
  return goal === 'maximize' ? -value : value;
}

export function lossesOf({ objectives }: Pick<SweepRecord, 'objectives'>, { estimates }: CandidateResult): readonly number[] {
  return objectives.map((objective, index) => lossOf(objective, estimates[index]?.mean as number));
}
