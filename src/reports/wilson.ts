/** @file Confidence interval of a measured accuracy. */

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** 97.5 % quantile of the standard normal distribution: two-sided 95 %. */
const Z95 = 1.959963984540054;

/**
 * Wilson's score interval (Wilson 1927) at 95 %, for `successes` of `count` independent trials. Unlike the normal
 * approximation it stays within [0,1] and keeps its coverage near 0 and 1, where robust accuracies often are.
 * @param successes in [0, count]; may be fractional when derived from a rounded rate.
 * @throws RangeError when count is not positive or successes lie outside.
 */
export function wilsonInterval(successes: number, count: number): Interval {
  if (!(count > 0) || !(successes >= 0 && successes <= count)) throw new RangeError(`no interval for ${successes} of ${count}`);
  const rate = successes / count;
  const z2 = Z95 * Z95;
  const centre = (rate + z2 / (2 * count)) / (1 + z2 / count);
  const half = (Z95 / (1 + z2 / count)) * Math.sqrt((rate * (1 - rate)) / count + z2 / (4 * count * count));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}
