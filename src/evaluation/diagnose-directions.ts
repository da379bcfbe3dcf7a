/** @file The directions along which the loss is followed: that of the gradient, its two parts, and a random one. */
import { IMAGE_VALUES, type Samples } from '../attacks/index.ts';
import type { MaskingDiagnostics } from '../config/index.ts';
import { dot, length } from './vectors.ts';

export type DirectionName = MaskingDiagnostics['directions'][number]['name'];

export interface Direction {
  readonly name: DirectionName;
  /** [count,32,32,3], each row of length 1, or 0 where there is no such direction. */
  readonly rows: Float32Array;
}

/**
 * With g the gradient of the cross-entropy and x the image: g; x with the sign of <g,x> (+ where it is 0), so that it rises to first order;
 * g - (<g,x>/|x|^2) x; a random one.
 * @param gradient [count,32,32,3]
 * @param noise [32,32,3] of a row
 */
export function directionsOf(
  { count, images }: Samples,
  gradient: Float32Array,
  noise: (row: number) => Float32Array,
): readonly Direction[] {
  const names = ['gradient', 'radial', 'tangential', 'random'] as const;
  const directions = names.map((name) => ({ name, rows: new Float32Array(images.length) }));
  for (let row = 0; row < count; row++) {
    const image = images.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES);
    const g = gradient.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES);
    const along = dot(g, image);
    const energy = dot(image, image);
    const tangential = energy === 0 ? g : g.map((value, i) => value - (along / energy) * (image[i] as number));
    const own = { gradient: g, radial: along < 0 ? image.map((value) => -value) : image, tangential, random: noise(row) };
    for (const { name, rows } of directions) rows.set(unit(own[name]), row * IMAGE_VALUES);
  }
  return directions;
}

function unit(values: Float32Array): Float32Array {
  const size = length(values);
  return size === 0 ? values : values.map((value) => value / size);
}

/** images + distance * rows, not cut to [0,1]. */
export function shifted(images: Float32Array, rows: Float32Array, distance: number): Float32Array {
  return images.map((value, i) => value + distance * (rows[i] as number));
}

/** -log softmax(logits)[label], in float64, so that it is exact for large logits, too. */
export function crossEntropyOf(logits: Float32Array, label: number): number {
  const largest = Math.max(...logits);
  const sum = logits.reduce((total, z) => total + Math.exp(z - largest), 0);
  return largest + Math.log(sum) - (logits[label] as number);
}
