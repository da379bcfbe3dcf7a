/** @file The order of candidates by their losses: one objective by value, several by Pareto rank, then by how alone they are. */
import { crowdingDistances, paretoRanks } from './dominance.ts';

/** A candidate with what it lost; undefined = failed. */
export interface Ranked {
  readonly candidate: number;
  /** One value per objective, all to be minimised. */
  readonly losses: readonly number[] | undefined;
}

/** Candidates from best to worst, one by one; see {@link rankCandidates}. */
export class Ranking {
  #order: Ranked[] = [];
  #isSorted = true;

  get size(): number {
    return this.#order.length;
  }

  add(member: Ranked): void {
    const { losses } = member;
    if (this.#isSorted && (losses === undefined || losses.length === 1)) this.#order.splice(this.#place(member), 0, member);
    else {
      this.#order.push(member);
      this.#isSorted = false;
    }
  }

  /** The best so many. */
  top(count: number): readonly Ranked[] {
    if (count === 0) return [];
    if (!this.#isSorted) this.#order = [...rankCandidates(this.#order)];
    this.#isSorted = true;
    return this.#order.slice(0, count);
  }

  /** Where a member with one loss belongs. */
  #place(member: Ranked): number {
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareSingle(this.#order[middle] as Ranked, member) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * The candidates from best to worst; failed ones last, equal ones in the order of their numbers. With several objectives: by Pareto rank,
 * inside a rank the least crowded first (Deb 2002).
 */
export function rankCandidates(members: readonly Ranked[]): readonly Ranked[] {
  const isSingle = members.every(({ losses }) => losses === undefined || losses.length === 1);
  return isSingle ? members.toSorted(compareSingle) : byDominance(members);
}

function compareSingle(a: Ranked, b: Ranked): number {
  const [left, right] = [a.losses?.[0], b.losses?.[0]];
  // Failed ones have no loss; infinite minus infinite would be no order.
  if (left === right) return a.candidate - b.candidate;
  if (left === undefined || right === undefined) return left === undefined ? 1 : -1;
  return left - right;
}

function byDominance(members: readonly Ranked[]): readonly Ranked[] {
  const failed = members.filter(({ losses }) => losses === undefined);
  const measured = members.filter(({ losses }) => losses !== undefined);
  const ranks = paretoRanks(measured.map(({ losses }) => losses));
  const fronts = new Map<number, Ranked[]>();
  for (const [i, member] of measured.entries()) {
    const rank = ranks[i] as number;
    fronts.set(rank, [...(fronts.get(rank) ?? []), member]);
  }
  const ordered = [...fronts.entries()]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([, front]) => {
      const distances = crowdingDistances(front.map(({ losses }) => losses as readonly number[]));
      return front
        .map((member, i) => ({ member, distance: distances[i] as number }))
        .toSorted((a, b) => (a.distance === b.distance ? a.member.candidate - b.member.candidate : b.distance - a.distance))
        .map(({ member }) => member);
    });
  return [...ordered, ...failed.toSorted((a, b) => a.candidate - b.candidate)];
}
