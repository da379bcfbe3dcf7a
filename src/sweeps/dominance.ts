/** @file Comparisons of loss vectors, all of whose components are to be minimised; undefined = failed, worse than everything else. */

export type Losses = readonly number[];

/** True when a is nowhere worse than b and somewhere better. */
export function dominates(a: Losses | undefined, b: Losses | undefined): boolean {
  if (a === undefined) return false;
  if (b === undefined) return true;
  let better = false;
  for (let i = 0; i < a.length; i++) {
    const [left, right] = [a[i] as number, b[i] as number];
    if (left > right) return false;
    if (left < right) better = true;
  }
  return better;
}

/** Rank of each vector: 0 = dominated by none, 1 = only by those of rank 0, and so on (non-dominated sorting, Deb 2002). */
export function paretoRanks(losses: readonly (Losses | undefined)[]): number[] {
  const ranks = losses.map(() => 0);
  const fronts: (Losses | undefined)[][] = [];
  // In lexicographic order no vector is dominated by one behind it; a binary search finds the first front without a dominator (ENS-BS).
  const order = losses.map((_, i) => i).sort((a, b) => compare(losses[a], losses[b]));
  for (const i of order) {
    const own = losses[i];
    let [low, high] = [0, fronts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((fronts[middle] ?? []).some((other) => dominates(other, own))) low = middle + 1;
      else high = middle;
    }
    ranks[i] = low;
    if (fronts[low] === undefined) fronts[low] = [];
    fronts[low]?.push(own);
  }
  return ranks;
}

function compare(a: Losses | undefined, b: Losses | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** How alone each vector of a front is (Deb 2002, section III-B); the ends of each objective are infinitely so. */
export function crowdingDistances(front: readonly Losses[]): number[] {
  const distances = front.map(() => 0);
  const objectives = front[0]?.length ?? 0;
  for (let objective = 0; objective < objectives; objective++) {
    const value = (i: number) => front[i]?.[objective] as number;
    const order = front.map((_, i) => i).sort((a, b) => value(a) - value(b) || a - b);
    const [first, last] = [order[0] as number, order.at(-1) as number];
    const range = value(last) - value(first);
    distances[first] = distances[last] = Number.POSITIVE_INFINITY;
    if (range === 0) continue;
    for (let k = 1; k < order.length - 1; k++) {
      const i = order[k] as number;
      distances[i] = (distances[i] as number) + (value(order[k + 1] as number) - value(order[k - 1] as number)) / range;
    }
  }
  return distances;
}

/** Volume that the vectors dominate up to the reference point, exactly, by slicing along the last objective; fast for up to four objectives. */
export function hypervolume(losses: readonly Losses[], reference: Losses): number {
  return sliced(
    losses.filter((each) => each.every((value, i) => value < (reference[i] as number))),
    reference,
  );
}

function sliced(points: readonly Losses[], reference: Losses): number {
  if (points.length === 0) return 0;
  if (reference.length === 1) return (reference[0] as number) - Math.min(...points.map(([value]) => value as number));
  const last = reference.length - 1;
  const sorted = points.toSorted((a, b) => (a[last] as number) - (b[last] as number));
  const rest = reference.slice(0, last);
  let volume = 0;
  for (const [i, point] of sorted.entries()) {
    const depth = ((sorted[i + 1]?.[last] ?? reference[last]) as number) - (point[last] as number);
    if (depth > 0)
      volume +=
        depth *
        sliced(
          sorted.slice(0, i + 1).map((each) => each.slice(0, last)),
          rest,
        );
  }
  return volume;
}

/** What each vector adds to the hypervolume of all. */
export function hypervolumeContributions(losses: readonly Losses[], reference: Losses): number[] {
  const whole = hypervolume(losses, reference);
  return losses.map((_, i) => whole - hypervolume(losses.toSpliced(i, 1), reference));
}
