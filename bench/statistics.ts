/** @file Robust summaries of a handful of timed repetitions. */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Median (mean of the middle two for an even count), smallest and largest; throws on an empty list. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('spreadOf needs at least one value');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
  return { median, min: sorted[0] as number, max: sorted.at(-1) as number };
}

/** "min - max". */
export function formatRange({ min, max }: Spread, digits: number): string {
  return `${min.toFixed(digits)} - ${max.toFixed(digits)}`;
}

/** "median (min - max)". */
export function formatSpread(spread: Spread, digits: number): string {
  return `${spread.median.toFixed(digits)} (${formatRange(spread, digits)})`;
}
