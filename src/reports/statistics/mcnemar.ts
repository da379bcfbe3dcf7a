/** @file Whether two networks differ on the same images: McNemar's exact test, and Holm's correction for several pairs. */
import { fairBinomialTail } from './binomial.ts';

export interface PairedCounts {
  /** Images that only the first, or only the second, gets right. */
  readonly onlyFirst: number;
  readonly onlySecond: number;
}

/** Counts where two strings of `1` (correct) and `0` differ. @throws RangeError when their lengths differ. */
export function pairedCounts(first: string, second: string): PairedCounts {
  if (first.length !== second.length) throw new RangeError(`${first.length} images can't be paired with ${second.length}`);
  let [onlyFirst, onlySecond] = [0, 0];
  for (let i = 0; i < first.length; i++) {
    if (first[i] === second[i]) continue;
    if (first[i] === '1') onlyFirst++;
    else onlySecond++;
  }
  return { onlyFirst, onlySecond };
}

/**
 * McNemar's test in its exact form (McNemar 1947; two-sided binomial on the discordant pairs, not mid-p): if neither network were better,
 * each image that only one gets right would be either's with probability 1/2.
 * @returns p in (0, 1]; 1 without discordant pairs
 */
export function mcnemarExact({ onlyFirst, onlySecond }: PairedCounts): number {
  return Math.min(1, 2 * fairBinomialTail(Math.min(onlyFirst, onlySecond), onlyFirst + onlySecond));
}

/**
 * Holm's step-down adjustment (Holm 1979): adjusted values, in the order given. Rejecting those below 0.05 keeps the chance of any false
 * rejection below 5 %.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, index) => index).sort((a, b) => (pValues[a] as number) - (pValues[b] as number));
  const adjusted = pValues.map(() => 1);
  let largest = 0;
  for (const [rank, index] of order.entries()) {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * (pValues[index] as number)));
    adjusted[index] = largest;
  }
  return adjusted;
}
