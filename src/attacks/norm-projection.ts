/** @file Sizes of perturbations of an image and projections onto balls around zero, per norm. L0 counts pixels, of three values each. */
import type { Norm } from '../config/index.ts';
import { lengthOf } from './ball.ts';
import { CHANNELS } from './classifier.ts';

/** @param delta [32,32,3] @returns its size; for `l0` the number of pixels that aren't zero */
export function normOf(norm: Norm, delta: Float32Array): number {
  switch (norm) {
    case 'linf':
      return largest(delta);
    case 'l2':
      return lengthOf(delta);
    case 'l1':
      return sum(delta);
    case 'l0': {
      let pixels = 0;
      for (const size of pixelSizes(delta)) if (size > 0) pixels += 1;
      return pixels;
    }
    default:
      throw new Error(`unknown norm ${norm satisfies never}`);
  }
}

/** The largest change of a linear function with this gradient per unit of a norm; `l0` has none. */
export function dualNormOf(norm: Exclude<Norm, 'l0'>, gradient: Float32Array): number {
  if (norm === 'linf') return sum(gradient);
  return norm === 'l2' ? lengthOf(gradient) : largest(gradient);
}

/** Brings delta into the ball, in place: to the nearest point in L2. For `l1` see l1-ball.ts. */
export function projectToNorm(norm: Exclude<Norm, 'l1'>, delta: Float32Array, radius: number): void {
  switch (norm) {
    case 'linf':
      for (let i = 0; i < delta.length; i++) delta[i] = Math.min(Math.max(delta[i] as number, -radius), radius);
      return;
    case 'l2': {
      const factor = radius / lengthOf(delta);
      if (factor < 1) for (let i = 0; i < delta.length; i++) delta[i] = (delta[i] as number) * factor;
      return;
    }
    case 'l0':
      keepPixels(delta, radius);
      return;
    default:
      throw new Error(`unknown norm ${norm satisfies never}`);
  }
}

/** Keeps so many pixels, those that change most in L2; among equals the first ones. */
function keepPixels(delta: Float32Array, count: number): void {
  const sizes = pixelSizes(delta);
  if (count >= sizes.length) return;
  const bound = sizes.slice().sort()[sizes.length - count] ?? Number.POSITIVE_INFINITY;
  let equal = count;
  for (const size of sizes) if (size > bound) equal -= 1;
  for (const [pixel, size] of sizes.entries()) {
    if (size > bound) continue;
    if (size === bound && equal > 0) equal -= 1;
    else delta.fill(0, pixel * CHANNELS, (pixel + 1) * CHANNELS);
  }
}

/** [32*32] squared L2 of each pixel's change. */
function pixelSizes(delta: Float32Array): Float32Array {
  const sizes = new Float32Array(delta.length / CHANNELS);
  for (let i = 0; i < delta.length; i++) {
    const pixel = Math.trunc(i / CHANNELS);
    sizes[pixel] = (sizes[pixel] as number) + (delta[i] as number) ** 2;
  }
  return sizes;
}

function largest(values: Float32Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i] as number));
  return most;
}

function sum(values: Float32Array): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += Math.abs(values[i] as number);
  return total;
}
