/** @file Ranks of values, on which tests rest that assume no distribution. */

export interface Ranks {
  /** Rank of each value from 1, in the order given; equal values share the mean of their ranks. */
  readonly ranks: readonly number[];
  /** Sum of t^3 - t over groups of t equal values, for the variance of rank sums. */
  readonly tieTerm: number;
}

export function ranksOf(values: readonly number[]): Ranks {
  const order = values.map((_, index) => index).sort((a, b) => (values[a] as number) - (values[b] as number));
  const ranks = values.map(() => 0);
  let tieTerm = 0;
  for (let first = 0; first < order.length; ) {
    let end = first + 1;
    while (end < order.length && values[order[end] as number] === values[order[first] as number]) end++;
    for (const index of order.slice(first, end)) ranks[index] = (first + 1 + end) / 2;
    tieTerm += (end - first) ** 3 - (end - first);
    first = end;
  }
  return { ranks, tieTerm };
}
