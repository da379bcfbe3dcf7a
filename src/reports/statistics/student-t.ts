/** @file Student's t distribution, and the interval of a mean that rests on it. */
import type { Interval } from '../wilson.ts';

export interface MeanEstimate {
  readonly mean: number;
  /** Standard deviation with n - 1 in the denominator; undefined for one value. */
  readonly sd: number | undefined;
  readonly n: number;
  /** t interval at 95 %; undefined for one value. */
  readonly interval: Interval | undefined;
}

/**
 * Mean, spread and 95 % t interval (Student 1908): exact for values from a normal distribution, an approximation for others.
 * @throws RangeError for no values
 */
export function meanOf(values: readonly number[]): MeanEstimate {
  const n = values.length;
  if (n === 0) throw new RangeError('no mean of no values');
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, sd: undefined, n, interval: undefined };
  const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1));
  const half = (quantile975(n - 1) * sd) / Math.sqrt(n);
  return { mean, sd, n, interval: { low: mean - half, high: mean + half } };
}

const KNOWN_975 = new Map<number, number>();

/** Kept, since a report needs the same few hundreds of times. */
function quantile975(freedom: number): number {
  const value = KNOWN_975.get(freedom) ?? studentQuantile(0.975, freedom);
  KNOWN_975.set(freedom, value);
  return value;
}

/** P(T <= t) for `freedom` >= 1 degrees of freedom. */
export function studentCdf(t: number, freedom: number): number {
  const tail = 0.5 * regularisedBeta(freedom / (freedom + t * t), freedom / 2, 0.5);
  return t > 0 ? 1 - tail : tail;
}

/** The t below which a share `p` in (0, 1) of the distribution lies; to about 12 digits. */
export function studentQuantile(p: number, freedom: number): number {
  if (p === 0.5) return 0;
  if (p < 0.5) return -studentQuantile(1 - p, freedom);
  let [low, high] = [0, 1];
  while (studentCdf(high, freedom) < p) high *= 2;
  for (let step = 0; step < 100 && high - low > 1e-13 * high; step++) {
    const middle = (low + high) / 2;
    if (studentCdf(middle, freedom) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** I_x(a, b), by its continued fraction (Abramowitz & Stegun 26.5.8) in Lentz's form. */
function regularisedBeta(x: number, a: number, b: number): number {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  // The fraction converges fast on this side of the mean only; the other follows from the symmetry of I.
  if (x > (a + 1) / (a + b + 2)) return 1 - regularisedBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
  const tiny = 1e-300;
  const nonZero = (value: number): number => (Math.abs(value) < tiny ? tiny : value);
  let [c, d] = [1, 1 / nonZero(1 - ((a + b) * x) / (a + 1))];
  let fraction = d;
  for (let m = 1; m <= 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / nonZero(1 + even * d);
    c = nonZero(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / nonZero(1 + odd * d);
    c = nonZero(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return front * fraction;
}

/** Lanczos' approximation with g = 7, n = 9 (Godfrey's coefficients); about 15 digits for x > 0. */
const LANCZOS: readonly number[] = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const shifted = x - 1;
  const sum = LANCZOS.slice(1).reduce((total, coefficient, index) => total + coefficient / (shifted + index + 1), LANCZOS[0] as number);
  const t = shifted + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(t) - t + Math.log(sum);
}
