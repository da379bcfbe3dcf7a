/**
 * @file Decoupling direction and norm (DDN; Rony et al., CVPR 2019, arXiv 1811.09600, algorithm 1): the direction of the perturbation follows
 * the gradient of the cross-entropy, its length shrinks while the image is misclassified and grows while it isn't.
 */
import type { Attack } from './attack.ts';
import { lengthOf } from './ball.ts';
import { minimumNorm, Nearest, type NearestSearch } from './minimum-norm.ts';
import { type GradientLook, isMisclassified, type Search, searchByGradient } from './search.ts';

export interface DdnOptions {
  /** Looks; default 300, the middle of the paper's 100, 300 and 1000. */
  readonly steps?: number;
  /** Share by which the length changes at a step, below 1; default 0.05. */
  readonly gamma?: number;
}

/** The first length, in [0,1] pixel units of the whole image. */
const FIRST_LENGTH = 1;
/** The step along the gradient falls from one to the other by a cosine. */
const FIRST_STEP = 1;
const LAST_STEP = 0.01;

class DdnSearch implements Search<GradientLook>, NearestSearch {
  readonly label: number;
  readonly image: Float32Array;
  readonly nearest: Nearest;
  done = false;
  readonly #clean: Float32Array;
  readonly #delta: Float32Array;
  readonly #steps: number;
  readonly #gamma: number;
  #step = 0;
  #length = FIRST_LENGTH;

  constructor(clean: Float32Array, label: number, steps: number, gamma: number) {
    this.label = label;
    this.image = clean.slice();
    this.nearest = new Nearest(clean);
    this.#clean = clean;
    this.#delta = new Float32Array(clean.length);
    this.#steps = steps;
    this.#gamma = gamma;
  }

  observe({ logits, loss, gradient }: GradientLook): void {
    const misclassified = isMisclassified(logits, this.label);
    if (misclassified) this.nearest.offer(this.image, lengthOf(this.#delta));
    const first = this.#step === 0;
    this.#step += 1;
    // Where nothing is finite there is no way on.
    this.done = this.#step > this.#steps || !Number.isFinite(loss);
    if (this.done) return;
    if (!first) this.#length *= misclassified ? 1 - this.#gamma : 1 + this.#gamma;
    this.#advance(gradient);
  }

  #advance(gradient: Float32Array): void {
    const delta = this.#delta;
    const rate = LAST_STEP + ((FIRST_STEP - LAST_STEP) * (1 + Math.cos((Math.PI * (this.#step - 1)) / this.#steps))) / 2;
    const scale = rate / (lengthOf(gradient) + 1e-12);
    for (let i = 0; i < delta.length; i++) delta[i] = (delta[i] as number) + scale * (gradient[i] as number);
    const stretch = this.#length / (lengthOf(delta) + 1e-12);
    for (let i = 0; i < delta.length; i++) {
      const clean = this.#clean[i] as number;
      const value = Math.min(Math.max(clean + stretch * (delta[i] as number), 0), 1);
      this.image[i] = value;
      delta[i] = value - clean;
    }
  }
}

/** See the file's header. Returns the nearest misclassified image in L2, else the clean one; a zero gradient moves nothing. */
export function ddn({ steps = 300, gamma = 0.05 }: DdnOptions = {}): Attack {
  return minimumNorm(
    (clean, label) => new DdnSearch(clean, label, steps, gamma),
    (classifier, searches) => searchByGradient(classifier, 'cross-entropy', searches),
  );
}
