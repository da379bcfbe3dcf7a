/** @file Which candidates no other beats in every objective, and how good they are together. All components of losses are to be minimised. */
import { dominates, hypervolume, type SweepRecord } from '../../sweeps/index.ts';
import { type CandidateResult, completeResults, highestRung, lossesOf, lossOf } from './candidate-result.ts';

export type Losses = readonly number[];

/** The front among the candidates that are complete on the highest rung reached. */
export interface ParetoFront {
  readonly rung: number;
  /** All that were compared, in their order, and of those the front, best in the first objective first. */
  readonly compared: readonly CandidateResult[];
  readonly front: readonly CandidateResult[];
  /** Worst observed value per objective, in its own sense: the reference point of the hypervolume. */
  readonly worst: readonly number[];
  /** Share of the box between the best and the worst observed values that the front dominates; undefined where a side has no length. */
  readonly hypervolume: number | undefined;
  /** The same over the first so many of {@link compared}, with the same box. */
  readonly hypervolumes: readonly number[];
  /** Of the front; see {@link kneeOf}. */
  readonly knee: CandidateResult | undefined;
}

/** Undefined before a candidate is complete on any rung. */
export function paretoFront(record: SweepRecord): ParetoFront | undefined {
  const rung = highestRung(record);
  if (rung === undefined) return undefined;
  const compared = completeResults(record, rung);
  const losses = compared.map((result) => lossesOf(record, result));
  const members = frontOf(losses).sort((a, b) => (losses[a]?.[0] as number) - (losses[b]?.[0] as number) || a - b);
  const front = members.map((index) => compared[index] as CandidateResult);
  const knee = kneeOf(members.map((index) => losses[index] as Losses));
  const side = (pick: (...values: number[]) => number): number[] =>
    record.objectives.map((_, objective) => pick(...losses.map((each) => each[objective] as number)));
  const [worst, best] = [side(Math.max), side(Math.min)];
  const box = best.reduce((product, low, objective) => product * ((worst[objective] as number) - low), 1);
  const hypervolumes = box > 0 ? volumesSoFar(losses, worst).map((volume) => volume / box) : [];
  return {
    rung,
    compared,
    front,
    worst: record.objectives.map((objective, index) => lossOf(objective, worst[index] as number)),
    hypervolume: hypervolumes.at(-1),
    hypervolumes,
    knee: knee === undefined ? undefined : front[knee],
  };
}

/** The hypervolume of the first, of the first two, and so on. */
function volumesSoFar(losses: readonly Losses[], reference: Losses): readonly number[] {
  let front: readonly Losses[] = [];
  let volume = 0;
  return losses.map((each) => {
    // Computed anew only where the front changes, which it seldom does.
    if (front.some((other) => dominates(other, each))) return volume;
    front = [...front.filter((other) => !dominates(each, other)), each];
    volume = hypervolume(front, reference);
    return volume;
  });
}

/** Indices of vectors that no other dominates (nowhere worse, somewhere better); equal ones are all kept. */
export function frontOf(losses: readonly Losses[]): number[] {
  return [...losses.keys()].filter((index) => !losses.some((other) => dominates(other, losses[index] as Losses)));
}

/**
 * The knee of a front of two objectives, sorted by the first: the point farthest before the chord between the two ends, both objectives
 * scaled to the front's range (Das 1999). Undefined for other numbers of objectives, and where no point lies before the chord.
 * @returns its index
 */
export function kneeOf(front: readonly Losses[]): number | undefined {
  const [first, last] = [front[0], front.at(-1)];
  if (first?.length !== 2 || last === undefined) return undefined;
  const width = (last[0] as number) - (first[0] as number);
  const height = (first[1] as number) - (last[1] as number);
  if (!(width > 0 && height > 0)) return undefined;
  // On the chord x + y = 1; how far before it is (1 - x - y) / sqrt(2).
  const before = front.map(([x = 0, y = 0]) => 1 - (x - (first[0] as number)) / width - (y - (last[1] as number)) / height);
  const most = Math.max(...before);
  return most > 1e-12 ? before.indexOf(most) : undefined;
}
