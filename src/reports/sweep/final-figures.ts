/** @file The figures of a sweep's candidates that may be compared: those of the highest rung that anybody reached, means over seeds. */
import { type CandidateRecord, dominates, type SweepRecord } from '../../sweeps/index.ts';

/** One objective of one candidate. */
export interface FinalFigure {
  /** Mean over seeds, in the objective's own sense and unit. */
  readonly mean: number;
  /** Sample standard deviation over seeds; undefined of one seed. */
  readonly deviation: number | undefined;
}

export interface FinalCandidate {
  readonly candidate: CandidateRecord;
  readonly figures: readonly FinalFigure[];
  /** Seeds. */
  readonly n: number;
  /** No other candidate is better in one objective and nowhere worse. */
  readonly isOnFront: boolean;
}

/** Candidates on the highest rung that was reached with all seeds, those on the Pareto front first, then by the first objective. */
export function finalCandidates({ candidates, objectives, seeds }: SweepRecord): {
  readonly rung: number;
  readonly finals: readonly FinalCandidate[];
} {
  const complete = candidates.flatMap((candidate) => {
    const rungs = candidate.measurements.map(({ rung }) => rung);
    const rung = Math.max(...rungs.filter((each) => rungs.filter((other) => other === each).length === seeds.length), -1);
    const values = candidate.measurements.filter((each) => each.rung === rung).map((each) => each.values);
    return rung < 0 || values.includes(undefined) ? [] : [{ candidate, rung, values: values as (readonly number[])[] }];
  });
  const rung = Math.max(...complete.map((each) => each.rung), -1);
  const compared = complete.filter((each) => each.rung === rung && each.candidate.state !== 'failed');
  const signs = objectives.map(({ goal }) => (goal === 'minimize' ? 1 : -1));
  const all = compared.map(({ candidate, values }) => {
    const figures = objectives.map((_, objective) => figureOf(values.map((each) => each[objective] as number)));
    return { candidate, figures, n: values.length, losses: figures.map(({ mean }, i) => mean * (signs[i] as number)) };
  });
  const finals = all
    .map(({ losses, ...rest }) => ({ ...rest, losses, isOnFront: !all.some((other) => dominates(other.losses, losses)) }))
    .sort((a, b) => Number(b.isOnFront) - Number(a.isOnFront) || (a.losses[0] as number) - (b.losses[0] as number))
    .map(({ candidate, figures, n, isOnFront }): FinalCandidate => ({ candidate, figures, n, isOnFront }));
  return { rung, finals };
}

function figureOf(values: readonly number[]): FinalFigure {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean, deviation: undefined };
  return { mean, deviation: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)) };
}
