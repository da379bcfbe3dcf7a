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

/** Indices of the vectors of the first fronts that hold `count` together, front by front, each in rising order. */
export function firstFronts(losses: readonly Losses[], count: number): readonly (readonly number[])[] {
  const fronts: (readonly number[])[] = [];
  let left = losses.map((_, i) => i).sort((a, b) => compare(losses[a], losses[b]));
  for (let found = 0; found < count && left.length > 0; ) {
    const front: number[] = [];
    // No vector is dominated by one behind it, and what dominates a dominated one dominates too: the front so far is enough.
    const rest = left.filter((i) => {
      const isDominated = front.some((other) => dominates(losses[other], losses[i]));
      if (!isDominated) front.push(i);
      return isDominated;
    });
    fronts.push(front.toSorted((a, b) => a - b));
    found += front.length;
    left = rest;
  }
  return fronts;
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

/**
 * Volume that the vectors dominate up to the reference point, exactly: a sweep with two objectives, with more by slicing along the last
 * one; fast for up to four.
 */
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
  if (last === 1) return swept(sorted, reference);
  const rest = reference.slice(0, last);
  let volume = 0;
  for (const [i, point] of sorted.entries()) {
    const depth = ((sorted[i + 1]?.[last] ?? reference[last]) as number) - (point[last] as number);
    if (depth > 0) volume += depth * sliced(sorted.slice(0, i + 1), rest);
  }
  return volume;
}

/** Area of two objectives, the points in rising order of the second. */
function swept(points: readonly Losses[], reference: Losses): number {
  let [area, lowest] = [0, reference[0] as number];
  for (const point of points) {
    const [first, second] = [point[0] as number, point[1] as number];
    if (first >= lowest) continue;
    area += (lowest - first) * ((reference[1] as number) - second);
    lowest = first;
  }
  return area;
}

/** What each vector adds to the hypervolume of all. */
export function hypervolumeContributions(losses: readonly Losses[], reference: Losses): number[] {
  const whole = hypervolume(losses, reference);
  return losses.map((_, i) => whole - hypervolume(losses.toSpliced(i, 1), reference));
}

/** How far beyond a front's worst values its reference point lies, in ranges. */
const REFERENCE_MARGIN = 0.5;
/** Vectors that are compared at most, the least crowded: each more would cost some milliseconds with four objectives. */
const MOST_COMPARED = 60;

/**
 * Indices of `count` vectors of a front whose joint hypervolume is large, the one that adds most first. Greedy, which is at least 63% of
 * the largest (Guerreiro 2016); what a vector adds only falls as others are taken, so few are computed again (Minoux 1978).
 */
export function largestHypervolume(front: readonly Losses[], count: number): number[] {
  const distances = crowdingDistances(front);
  const isolated = front
    .map((_, i) => i)
    .sort((a, b) => (distances[a] === distances[b] ? a - b : (distances[b] as number) - (distances[a] as number)));
  const compared = isolated.slice(0, Math.max(MOST_COMPARED, count));
  const reference = (front[0] ?? []).map((_, k) => {
    const values = front.map((each) => each[k] as number);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return high + REFERENCE_MARGIN * (high > low ? high - low : 1);
  });
  let volume = 0;
  const chosen: number[] = [];
  const open = compared.map((index) => ({ index, adds: Number.POSITIVE_INFINITY, size: -1 }));
  while (chosen.length < count && open.length > 0) {
    const next = open.reduce((most, each) => (each.adds > most.adds ? each : most));
    if (next.size === chosen.length) {
      volume += next.adds;
      chosen.push(next.index);
      open.splice(open.indexOf(next), 1);
    } else {
      const together = [...chosen, next.index].map((index) => front[index] as Losses);
      next.adds = hypervolume(together, reference) - volume;
      next.size = chosen.length;
    }
  }
  return chosen;
}
