/**
 * @file Fast minimum-norm attack (FMN; Pintor et al., NeurIPS 2021, arXiv 2102.12827, algorithm 1): ascends the margin within a ball whose
 * radius it estimates from the slope, then shrinks while the image is misclassified and widens while it isn't, by ever smaller shares.
 * Other than the paper, what the gradient would move out of [0,1] is left out of it: values at their limit otherwise take up the whole L1
 * ball, and the search stalls.
 */
import type { Norm } from '../config/index.ts';
import type { Attack } from './attack.ts';
import { lengthOf } from './ball.ts';
import { projectToL1Ball } from './l1-ball.ts';
import { minimumNorm, Nearest, type NearestSearch } from './minimum-norm.ts';
import { dualNormOf, normOf, projectToNorm } from './norm-projection.ts';
import { type GradientLook, isMisclassified, type Search, searchByGradient } from './search.ts';

export interface FmnOptions {
  /** Of the distance; `l0` counts pixels. */
  readonly norm: Norm;
  /** Looks; default 1000, as in the paper. */
  readonly steps?: number;
  /** Share by which the radius changes at the first step, below 1; falls to 0.0001 by a cosine. Default 0.05. */
  readonly gamma?: number;
}

const LAST_GAMMA = 1e-4;
/** The L2 length of the first step; it falls to the last by a cosine. L-infinity moves all values, which takes more. */
const FIRST_STEP: Readonly<Record<Norm, number>> = { linf: 10, l2: 1, l1: 1, l0: 1 };
const LAST_STEP = 1e-5;

class FmnSearch implements Search<GradientLook>, NearestSearch {
  readonly label: number;
  readonly image: Float32Array;
  readonly nearest: Nearest;
  done = false;
  readonly #clean: Float32Array;
  readonly #delta: Float32Array;
  /** The gradient less what leads out of [0,1]. */
  readonly #slope: Float32Array;
  readonly #norm: Norm;
  readonly #steps: number;
  readonly #gamma: number;
  #step = 0;
  #radius: number;

  constructor(clean: Float32Array, label: number, { norm, steps, gamma }: Required<FmnOptions>) {
    this.label = label;
    this.image = clean.slice();
    this.nearest = new Nearest(clean);
    this.#clean = clean;
    this.#delta = new Float32Array(clean.length);
    this.#slope = new Float32Array(clean.length);
    this.#norm = norm;
    this.#steps = steps;
    this.#gamma = gamma;
    this.#radius = norm === 'l0' ? 1 : Number.POSITIVE_INFINITY;
  }

  observe({ logits, loss, gradient }: GradientLook): void {
    const size = normOf(this.#norm, this.#delta);
    const misclassified = isMisclassified(logits, this.label);
    if (misclassified) this.nearest.offer(this.image, size);
    this.#keepInside(gradient);
    const gamma = cosine(this.#gamma, LAST_GAMMA, this.#step / this.#steps);
    this.#radius = this.#norm === 'l0' ? this.#nextCount(misclassified, gamma) : this.#nextRadius(misclassified, gamma, size, loss);
    const rate = cosine(FIRST_STEP[this.#norm], LAST_STEP, this.#step / this.#steps);
    this.#step += 1;
    // Where nothing is finite there is no way on.
    this.done = this.#step > this.#steps || !Number.isFinite(loss);
    if (!this.done) this.#advance(rate);
  }

  #nextRadius(misclassified: boolean, gamma: number, size: number, loss: number): number {
    if (misclassified) return Math.min(this.#radius * (1 - gamma), this.nearest.distance);
    if (Number.isFinite(this.nearest.distance)) return this.#radius * (1 + gamma);
    return size + Math.abs(loss) / (dualNormOf(this.#norm as Exclude<Norm, 'l0'>, this.#slope) + 1e-12);
  }

  /** Counts change by at least one. */
  #nextCount(misclassified: boolean, gamma: number): number {
    const count = this.#radius;
    if (misclassified) return Math.max(Math.min(count - 1, Math.floor(count * (1 - gamma)), this.nearest.distance), 0);
    return Math.max(count + 1, Math.floor(count * (1 + gamma)));
  }

  #keepInside(gradient: Float32Array): void {
    for (let i = 0; i < gradient.length; i++) {
      const value = this.image[i] as number;
      const slope = gradient[i] as number;
      this.#slope[i] = (value >= 1 && slope > 0) || (value <= 0 && slope < 0) ? 0 : slope;
    }
  }

  #advance(rate: number): void {
    const { image } = this;
    const clean = this.#clean;
    const delta = this.#delta;
    const scale = rate / (lengthOf(this.#slope) + 1e-12);
    for (let i = 0; i < delta.length; i++) delta[i] = (delta[i] as number) + scale * (this.#slope[i] as number);
    if (this.#norm !== 'l1') projectToNorm(this.#norm, delta, this.#radius);
    for (let i = 0; i < delta.length; i++) image[i] = (clean[i] as number) + (delta[i] as number);
    if (this.#norm === 'l1') projectToL1Ball(image, clean, this.#radius);
    for (let i = 0; i < delta.length; i++) {
      image[i] = Math.min(Math.max(image[i] as number, 0), 1);
      delta[i] = (image[i] as number) - (clean[i] as number);
    }
  }
}

/** From `first` at 0 to `last` at 1. */
function cosine(first: number, last: number, progress: number): number {
  return last + ((first - last) * (1 + Math.cos(Math.PI * progress))) / 2;
}

/** See the file's header. Returns the nearest misclassified image in the norm, else the clean one; a zero gradient moves nothing. */
export function fmn({ norm, steps = 1000, gamma = 0.05 }: FmnOptions): Attack {
  return minimumNorm(
    (clean, label) => new FmnSearch(clean, label, { norm, steps, gamma }),
    (classifier, searches) => searchByGradient(classifier, 'margin', searches),
  );
}
