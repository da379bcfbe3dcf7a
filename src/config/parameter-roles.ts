/** @file What a parameter is for, told by its name: how it begins, whether it is decayed, and which are no parameters but statistics. */

/** Share of a step's statistics in the running ones of a batch normalisation. */
export const BATCH_NORM_RATE = 0.1;

const NORM = /(^|\.)norm\d?\.(weight|bias|runningMean|runningVariance)$/;

/** Running mean or variance of a batch normalisation: part of the flat vector, but not trained by gradients. */
export function isRunningStatistic(name: string): boolean {
  return name.endsWith('.runningMean') || name.endsWith('.runningVariance');
}

/** Running variance: never below 0. */
export function isRunningVariance(name: string): boolean {
  return name.endsWith('.runningVariance');
}

/** Weights of layers are decayed; biases and the parameters of normalisations are not. */
export function isDecayed(name: string): boolean {
  return !name.endsWith('.bias') && !NORM.test(name);
}

/** How the values begin: drawn at random, or all equal. Denoising blocks begin as the identity: their weights are 0. */
export function initialValue(name: string): 'random' | 0 | 1 {
  if (isRunningVariance(name) || (NORM.test(name) && name.endsWith('.weight'))) return 1;
  return isDecayed(name) && !name.endsWith('.denoise.weight') ? 'random' : 0;
}
