/**
 * @file SparseFool (Modas, Moosavi-Dezfooli and Frossard, CVPR 2019, arXiv 1811.02248, algorithms 1 and 2): changes few values, the steepest
 * first, until the image is across a plane that stands for the boundary near DeepFool's image.
 * Where the plane at the point beyond the boundary has the image on its far side already (a strongly curved boundary), moving on would
 * change every value: here the plane at DeepFool's own image is taken then, and where that one fails too, the search ends.
 */
import type { Attack } from './attack.ts';
import { IMAGE_VALUES } from './classifier.ts';
import { DeepFoolSearch } from './deepfool.ts';
import { minimumNorm, Nearest, type NearestSearch } from './minimum-norm.ts';
import { isMisclassified, type JacobianLook, type Search, searchByJacobian } from './search.ts';

export interface SparseFoolOptions {
  /** Default 20. */
  readonly steps?: number;
  /** How far beyond the clean image, in lengths of DeepFool's perturbation, the plane is taken; default 3, as in the paper for CIFAR-10. */
  readonly lambda?: number;
  /** Share by which the change is made longer; default 0.02. */
  readonly overshoot?: number;
  /**
   * `torchattacks`: as torchattacks 3.5.1 does it: the plane is always crossed from the clean image, and where it has the image on its far
   * side, all values change; the last image is returned, misclassified or not. For comparisons only.
   */
  readonly compatibility?: 'none' | 'torchattacks';
}

type Settings = Required<SparseFoolOptions>;

/** Added to the distance to the plane, so that it is crossed. */
const BEYOND = 1e-3;
const LEAST_CHANGE = 1e-4;

/** Where to look next; learns what the classifier makes of it. Ends at a misclassified image or without one. */
type Walk = Generator<Float32Array, Float32Array | undefined, JacobianLook>;

function* walk(clean: Float32Array, label: number, { steps, lambda, overshoot, compatibility }: Settings): Walk {
  const exact = compatibility === 'torchattacks';
  let image = clean;
  for (let step = 0; ; step++) {
    let seen = yield image;
    if (isMisclassified(seen.logits, label)) return image;
    if (step === steps) return exact ? image : undefined;
    const fool = new DeepFoolSearch(image.slice(), label, { norm: 'l2', steps: 50, overshoot: 0.02, compatibility });
    fool.observe(seen);
    while (!fool.done) {
      seen = yield fool.image;
      fool.observe(seen);
    }
    const rival = bestOther(seen.logits, label);
    const from = exact ? clean : image;
    let next: Float32Array | undefined;
    for (const far of exact ? [lambda] : [lambda, 1]) {
      const point = from.map((value, i) => value + far * ((fool.image[i] as number) - value));
      seen = yield point;
      const beyond = isMisclassified(seen.logits, label) ? bestOther(seen.logits, label) : rival;
      next = crossPlane(from, unitNormal(seen.jacobian, beyond, label), point, exact);
      if (next !== undefined) break;
    }
    if (next === undefined) return undefined;
    image = next.map((value, i) => {
      const own = clean[i] as number;
      return Math.min(Math.max(own + (1 + overshoot) * (value - own), 0), 1);
    });
  }
}

/**
 * Changes one value after the other, the steepest first, until the image is across the plane or all have changed.
 * @param normal [n] of length 1, towards the other side
 * @param point [n] of the plane
 * @param always goes on where the image is across to begin with
 * @returns undefined where it is across to begin with, or where the plane has no normal
 */
function crossPlane(image: Float32Array, normal: Float32Array, point: Float32Array, always: boolean): Float32Array | undefined {
  let height = 0;
  for (let i = 0; i < image.length; i++) height += (normal[i] as number) * ((image[i] as number) - (point[i] as number));
  if (Number.isNaN(height) || (height >= 0 && !always)) return undefined;
  const side = Math.sign(height);
  const next = image.slice();
  const slopes = normal.map(Math.abs);
  for (const i of Uint32Array.from(slopes.keys()).sort((a, b) => (slopes[b] as number) - (slopes[a] as number))) {
    const slope = normal[i] as number;
    if (slope === 0) break;
    const before = next[i] as number;
    const change = Math.max(Math.abs(height + BEYOND * side) / Math.abs(slope), LEAST_CHANGE);
    next[i] = Math.min(Math.max(before + change * Math.sign(slope), 0), 1);
    height += slope * ((next[i] as number) - before);
    if (Math.sign(height) !== side) break;
  }
  return next;
}

/** The gradient of z_k - z_y over its length; NaN where it is zero. */
function unitNormal(jacobian: Float32Array, rival: number, label: number): Float32Array {
  const [up, down] = [rival * IMAGE_VALUES, label * IMAGE_VALUES];
  const normal = Float32Array.from({ length: IMAGE_VALUES }, (_, i) => (jacobian[up + i] as number) - (jacobian[down + i] as number));
  const length = Math.sqrt(normal.reduce((sum, value) => sum + value * value, 0));
  return normal.map((value) => value / length);
}

function bestOther(logits: Float32Array, label: number): number {
  let best = label === 0 ? 1 : 0;
  for (let k = 0; k < logits.length; k++) if (k !== label && (logits[k] as number) > (logits[best] as number)) best = k;
  return best;
}

class SparseFoolSearch implements Search<JacobianLook>, NearestSearch {
  readonly label: number;
  readonly nearest: Nearest;
  image: Float32Array;
  done = false;
  readonly #walk: Walk;

  constructor(clean: Float32Array, label: number, settings: Settings) {
    this.label = label;
    this.nearest = new Nearest(clean);
    this.#walk = walk(clean, label, settings);
    this.image = this.#walk.next().value as Float32Array;
  }

  observe(seen: JacobianLook): void {
    const next = this.#walk.next(seen);
    this.done = next.done === true;
    if (next.done !== true) this.image = next.value;
    else if (next.value !== undefined) this.nearest.offer(next.value, 0);
  }
}

/** See the file's header. Returns the first misclassified image, else the clean one; labels are the given ones, all other classes are tried. */
export function sparseFool({ steps = 20, lambda = 3, overshoot = 0.02, compatibility = 'none' }: SparseFoolOptions = {}): Attack {
  const settings = { steps, lambda, overshoot, compatibility };
  return minimumNorm<SparseFoolSearch>((clean, label) => new SparseFoolSearch(clean, label, settings), searchByJacobian);
}
