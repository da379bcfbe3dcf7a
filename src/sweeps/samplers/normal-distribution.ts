/** @file The normal distribution: density, share below, quantile, truncated draws. */
import type { Random } from '../../core/index.ts';

const ROOT_2_PI = Math.sqrt(2 * Math.PI);
/** From here on the series would need more terms than the share has digits. */
const FAR = 8;

export function normalDensity(z: number): number {
  return Math.exp(-0.5 * z * z) / ROOT_2_PI;
}

/** Share below z, to 1e-15 (series of Marsaglia 2004, Evaluating the normal distribution, section 3). */
export function normalShare(z: number): number {
  if (z < -FAR) return 0;
  if (z > FAR) return 1;
  let [sum, term, before] = [z, z, 0];
  for (let i = 3; sum !== before; i += 2) {
    before = sum;
    term *= (z * z) / i;
    sum += term;
  }
  return 0.5 + sum * normalDensity(z);
}

/** Value below which a share in (0, 1) lies, to 4.5e-4 (Abramowitz and Stegun 26.2.23). */
export function normalQuantile(share: number): number {
  const p = Math.min(share, 1 - share);
  const t = Math.sqrt(-2 * Math.log(p));
  const z = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  return share < 0.5 ? -z : z;
}

/** Share of a normal distribution that lies in [0, 1). */
export function massInside(mean: number, deviation: number): number {
  return normalShare((1 - mean) / deviation) - normalShare(-mean / deviation);
}

/** A draw of a normal distribution that lies in [0, 1); the mean in [0, 1), the deviation at most 1, so that a third of the draws do. */
export function truncatedNormal(mean: number, deviation: number, random: Random): number {
  for (;;) {
    const value = mean + deviation * random.normal();
    if (value >= 0 && value < 1) return value;
  }
}

/**
 * Logarithm of the expected improvement of N(mean, deviation^2) below `best` (Jones 1998), which stays useful where the improvement itself
 * is 0 in floating point (Ament 2023, arXiv 2310.20708).
 */
export function logExpectedImprovement(mean: number, deviation: number, best: number): number {
  const z = (best - mean) / deviation;
  if (z > -5) return Math.log(deviation) + Math.log(normalDensity(z) + z * normalShare(z));
  // Asymptotic series of density + z * share, whose terms would cancel; at -5 it is off by 1e-3.
  const w = 1 / (z * z);
  const series = 1 - w * (3 - w * (15 - w * (105 - w * 945)));
  return Math.log(deviation) - 0.5 * z * z - Math.log(ROOT_2_PI) + Math.log(w * series);
}
