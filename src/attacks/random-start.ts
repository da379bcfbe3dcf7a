/** @file Random points around an image. */
import type { Random } from '../core/index.ts';

/** Fills out[offset, offset + length) with uniform values in [-1, 1), in the order of the array. */
export function fillUniformNoise(random: Random, out: Float32Array, offset: number, length: number): void {
  for (let i = offset; i < offset + length; i++) out[i] = 2 * random.uniform() - 1;
}

/** Fills out[offset, offset + length) with standard normal values, in the order of the array. */
export function fillNormalNoise(random: Random, out: Float32Array, offset: number, length: number): void {
  for (let i = offset; i < offset + length; i++) out[i] = random.normal();
}

/** image <- clamp(image + eps * noise) to [0,1], in place; both of the same length. */
export function addScaledNoise(image: Float32Array, noise: Float32Array, epsLinf: number): void {
  for (let i = 0; i < image.length; i++) image[i] = Math.min(Math.max((image[i] as number) + epsLinf * (noise[i] as number), 0), 1);
}
