/**
 * @file DeepFool (Moosavi-Dezfooli, Fawzi and Frossard, CVPR 2016, arXiv 1511.04599, algorithm 2): steps to the nearest of the hyperplanes
 * that the boundaries to the other classes are to first order.
 */
import type { Attack } from './attack.ts';
import { IMAGE_VALUES } from './classifier.ts';
import { minimumNorm, Nearest, type NearestSearch } from './minimum-norm.ts';
import { isMisclassified, type JacobianLook, type Search, searchByJacobian } from './search.ts';

export interface DeepFoolOptions {
  /** Whose distance is small; default `l2`. */
  readonly norm?: 'l2' | 'linf';
  /** Default 50. */
  readonly steps?: number;
  /** Share by which the sum of all steps is made longer; default 0.02. */
  readonly overshoot?: number;
  /**
   * `torchattacks`: as torchattacks 3.5.1 does it. Every step is made longer instead of their sum, and no step is longer than the distance,
   * so that some images stop on the boundary. For comparisons only.
   */
  readonly compatibility?: 'none' | 'torchattacks';
}

/** Added to each distance, as the authors do, so that no step ends on the boundary. */
const BEYOND = 1e-4;

type Settings = Required<DeepFoolOptions>;

/** The search of one sample. */
export class DeepFoolSearch implements Search<JacobianLook>, NearestSearch {
  readonly label: number;
  readonly image: Float32Array;
  readonly nearest: Nearest;
  readonly #clean: Float32Array;
  readonly #settings: Settings;
  /** Sum of the steps. */
  readonly #change: Float64Array;
  #left: number;

  constructor(clean: Float32Array, label: number, settings: Settings) {
    this.label = label;
    this.image = clean.slice();
    this.nearest = new Nearest(clean);
    this.#clean = clean;
    this.#settings = settings;
    this.#change = new Float64Array(clean.length);
    this.#left = settings.steps;
  }

  get done(): boolean {
    return this.#left < 0;
  }

  observe({ logits, jacobian }: JacobianLook): void {
    if (isMisclassified(logits, this.label)) {
      // The first is the nearest that there will be.
      this.nearest.offer(this.image, 0);
      this.#left = -1;
      return;
    }
    this.#left -= 1;
    const target = this.#nearestClass(logits, jacobian);
    // Where no gradient is left there is no way on.
    if (target === undefined) this.#left = -1;
    if (!this.done && target !== undefined) this.#step(jacobian, target.rival, target.distance);
  }

  /** The class whose boundary is nearest to first order: |z_k - z_y| over the dual norm of the gradient of z_k - z_y. */
  #nearestClass(logits: Float32Array, jacobian: Float32Array): { readonly rival: number; readonly distance: number } | undefined {
    let best: { readonly rival: number; readonly distance: number } | undefined;
    for (let rival = 0; rival < logits.length; rival++) {
      if (rival === this.label) continue;
      const gap = (logits[this.label] as number) - (logits[rival] as number);
      const distance = gap / this.#dualNorm(jacobian, rival);
      if (Number.isFinite(distance) && (best === undefined || distance < best.distance)) best = { rival, distance };
    }
    return best;
  }

  #dualNorm(jacobian: Float32Array, rival: number): number {
    const [up, down] = [rival * IMAGE_VALUES, this.label * IMAGE_VALUES];
    let sum = 0;
    if (this.#settings.norm === 'l2') {
      for (let i = 0; i < IMAGE_VALUES; i++) sum += ((jacobian[up + i] as number) - (jacobian[down + i] as number)) ** 2;
      return Math.sqrt(sum);
    }
    for (let i = 0; i < IMAGE_VALUES; i++) sum += Math.abs((jacobian[up + i] as number) - (jacobian[down + i] as number));
    return sum;
  }

  #step(jacobian: Float32Array, rival: number, distance: number): void {
    const { norm, overshoot, compatibility } = this.#settings;
    const exact = compatibility === 'torchattacks';
    const size = exact ? distance : distance + BEYOND;
    const length = norm === 'l2' ? this.#dualNorm(jacobian, rival) : 1;
    const [up, down] = [rival * IMAGE_VALUES, this.label * IMAGE_VALUES];
    for (let i = 0; i < IMAGE_VALUES; i++) {
      const slope = (jacobian[up + i] as number) - (jacobian[down + i] as number);
      const move = size * (norm === 'l2' ? slope / length : Math.sign(slope));
      const change = (this.#change[i] as number) + move;
      this.#change[i] = change;
      const next = exact ? (this.image[i] as number) + (1 + overshoot) * move : (this.#clean[i] as number) + (1 + overshoot) * change;
      this.image[i] = Math.min(Math.max(next, 0), 1);
    }
  }
}

/** See the file's header. Returns the first misclassified image, else the clean one; labels are the given ones, all other classes are tried. */
export function deepFool({ norm = 'l2', steps = 50, overshoot = 0.02, compatibility = 'none' }: DeepFoolOptions = {}): Attack {
  const settings = { norm, steps, overshoot, compatibility };
  return minimumNorm<DeepFoolSearch>((clean, label) => new DeepFoolSearch(clean, label, settings), searchByJacobian);
}
