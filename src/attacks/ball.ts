/** @file The threat models |x' - x| <= eps with x' in [0,1], for one image at a time. Sums are taken in float64. */
import { ascendSparsely, projectToL1Ball } from './l1-ball.ts';

/** Norms that a {@link Ball} can be of. */
export type BallNorm = 'linf' | 'l2' | 'l1';

/** Euclidean length. */
export function lengthOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2;
  return Math.sqrt(sum);
}

/** A ball around a clean image, cut to [0,1]. */
export class Ball {
  readonly norm: BallNorm;
  readonly eps: number;
  /** The centre. */
  readonly clean: Float32Array;
  /**
   * Smallest and largest value of each pixel. For `linf` in float32, so that a pixel at the border has the same bits whichever way it came
   * there; for other norms only [0,1].
   */
  readonly low: Float32Array;
  readonly high: Float32Array;

  /** @param eps radius in [0,1] pixel units, >= 0; for `l2` and `l1` of the whole image */
  constructor(norm: BallNorm, clean: Float32Array, eps: number) {
    this.norm = norm;
    this.eps = eps;
    this.clean = clean;
    const reach = norm === 'linf' ? eps : 1;
    this.low = new Float32Array(clean.length);
    this.high = new Float32Array(clean.length);
    for (let i = 0; i < clean.length; i++) {
      const centre = clean[i] as number;
      this.low[i] = Math.max(centre - reach, 0);
      this.high[i] = Math.min(centre + reach, 1);
    }
  }

  /** Brings `image` into the ball, in place: the nearest point for `linf` and `l1`; for `l2` scaled to the radius, then cut to [0,1]. */
  project(image: Float32Array): void {
    const { clean, eps, low, high } = this;
    if (this.norm === 'l1') {
      projectToL1Ball(image, clean, eps);
      return;
    }
    if (this.norm === 'linf') {
      for (let i = 0; i < image.length; i++) image[i] = Math.min(Math.max(image[i] as number, low[i] as number), high[i] as number);
      return;
    }
    let sum = 0;
    for (let i = 0; i < image.length; i++) sum += ((image[i] as number) - (clean[i] as number)) ** 2;
    const length = Math.sqrt(sum);
    const factor = Math.min(eps, length) / (length + 1e-12);
    for (let i = 0; i < image.length; i++) {
      const value = (clean[i] as number) + ((image[i] as number) - (clean[i] as number)) * factor;
      image[i] = Math.min(Math.max(value, 0), 1);
    }
  }

  /** target[i] = from[i] + size * (steepest ascent direction of the gradient), for `l1` a sparse one; a zero gradient moves nothing. */
  ascend(target: Float32Array, from: Float32Array, gradient: Float32Array, size: number): void {
    if (this.norm === 'l1') {
      ascendSparsely(target, from, gradient, size);
      return;
    }
    if (this.norm === 'linf') {
      for (let i = 0; i < target.length; i++) target[i] = (from[i] as number) + size * Math.sign(gradient[i] as number);
      return;
    }
    const scale = size / (lengthOf(gradient) + 1e-12);
    for (let i = 0; i < target.length; i++) target[i] = (from[i] as number) + scale * (gradient[i] as number);
  }

  /** One step from `from`, back in the ball: see {@link ascend} and {@link project}. */
  step(target: Float32Array, from: Float32Array, gradient: Float32Array, size: number): void {
    this.ascend(target, from, gradient, size);
    this.project(target);
  }

  /** The centre moved by eps times each value of a field in [-1,1), brought into the ball: for `linf` uniform where the field is. */
  offset(field: ArrayLike<number>): Float32Array {
    const image = this.clean.map((value, i) => value + this.eps * (field[i] as number));
    this.project(image);
    return image;
  }

  /** clean + eps * field / |field|, cut to [0,1]: its largest coordinate (linf), its length (l2) or its sum (l1) lies on the border. */
  start(field: ArrayLike<number>): Float32Array {
    let size = 0;
    if (this.norm === 'l2') size = lengthOf(field);
    else if (this.norm === 'l1') for (let i = 0; i < field.length; i++) size += Math.abs(field[i] as number);
    else for (let i = 0; i < field.length; i++) size = Math.max(size, Math.abs(field[i] as number));
    return this.clean.map((value, i) => Math.min(Math.max(value + (this.eps * (field[i] as number)) / (size + 1e-12), 0), 1));
  }
}
