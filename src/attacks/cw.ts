/**
 * @file The L2 attack of Carlini and Wagner (S&P 2017, arXiv 1608.04644, section VI-A): descends |x' - x|^2 + c f(x') in tanh space with Adam,
 * with f(x') = max(z_y - max_{k != y} z_k, -confidence), and searches the smallest c that succeeds.
 */
import { Adam } from './adam.ts';
import type { Attack } from './attack.ts';
import { ConstantSearch, StallCheck } from './constant-search.ts';
import { cwOfTorchattacks } from './cw-torchattacks.ts';
import { minimumNorm, Nearest, type NearestSearch } from './minimum-norm.ts';
import { type GradientLook, logitMargin, type Search, searchByGradient } from './search.ts';
import { gradientOfTanh, imageOfTanh, squaredDistance, tanhOfImage } from './tanh-box.ts';

export interface CwOptions {
  /** Looks per value of c. Default 1000; the paper takes 10000. */
  readonly steps?: number;
  /** Values of c to try; default 9. With 1 the attack runs once, with the first c. */
  readonly searchSteps?: number;
  /** The first c; default 0.001. */
  readonly c?: number;
  /** Of Adam, in tanh space; default 0.01. */
  readonly learningRate?: number;
  /** The margin by which another class has to be ahead, in logits; default 0. */
  readonly confidence?: number;
  /** `torchattacks`: as torchattacks 3.5.1 does it, its errors included; see cw-torchattacks.ts. For comparisons only. */
  readonly compatibility?: 'none' | 'torchattacks';
}

type ResolvedCwOptions = Required<Omit<CwOptions, 'compatibility'>>;

/** Brings pixels at 0 and 1 to where tanh still has a slope. */
const SHRINK = 0.999999;
/** A loss that falls by less in a tenth of the steps is as good as stalled. */
const STALL_FACTOR = 0.9999;

class CwSearch implements Search<GradientLook>, NearestSearch {
  readonly label: number;
  readonly image: Float32Array;
  readonly nearest: Nearest;
  done = false;
  readonly #clean: Float32Array;
  readonly #options: ResolvedCwOptions;
  readonly #start: Float32Array;
  readonly #w: Float32Array;
  readonly #slope: Float32Array;
  readonly #adam: Adam;
  readonly #constants: ConstantSearch;
  readonly #stall: StallCheck;
  #step = 0;
  #searchStep = 0;
  #succeeded = false;

  constructor(clean: Float32Array, label: number, options: ResolvedCwOptions) {
    this.label = label;
    this.nearest = new Nearest(clean);
    this.image = new Float32Array(clean.length);
    this.#clean = clean;
    this.#options = options;
    this.#start = new Float32Array(clean.length);
    this.#w = new Float32Array(clean.length);
    this.#slope = new Float32Array(clean.length);
    this.#adam = new Adam(clean.length, options.learningRate);
    this.#constants = new ConstantSearch(options.c);
    this.#stall = new StallCheck(options.steps, STALL_FACTOR);
    tanhOfImage(this.#start, clean, SHRINK);
    this.#w.set(this.#start);
    imageOfTanh(this.image, this.#w);
  }

  observe({ logits, gradient }: GradientLook): void {
    const { steps, confidence } = this.#options;
    const excess = logitMargin(logits, this.label) + confidence;
    const distance = squaredDistance(this.image, this.#clean);
    // Where the logits aren't finite there is no way on.
    if (Number.isNaN(excess)) this.done = true;
    if (!(excess > 0)) {
      this.#succeeded = true;
      this.nearest.offer(this.image, distance);
    }
    if (this.done) return;
    const { constant } = this.#constants;
    const stalled = this.#stall.isStalled(this.#step, distance + constant * Math.max(excess, 0));
    this.#step += 1;
    if (stalled || this.#step === steps) {
      this.#nextConstant();
      return;
    }
    gradientOfTanh(this.#slope, this.image, this.#clean, gradient, excess > 0 ? constant : 0);
    this.#adam.descend(this.#w, this.#slope);
    imageOfTanh(this.image, this.#w);
  }

  #nextConstant(): void {
    this.#searchStep += 1;
    if (this.#searchStep === this.#options.searchSteps) {
      this.done = true;
      return;
    }
    this.#constants.next(this.#succeeded);
    this.#succeeded = false;
    this.#step = 0;
    this.#stall.restart();
    this.#adam.reset();
    this.#w.set(this.#start);
    imageOfTanh(this.image, this.#w);
  }
}

/** See the file's header. Returns the nearest misclassified image in L2, else the clean one. */
export function cw(options: CwOptions = {}): Attack {
  const { steps = 1000, searchSteps = 9, c = 0.001, learningRate = 0.01, confidence = 0, compatibility = 'none' } = options;
  const resolved = { steps, searchSteps, c, learningRate, confidence };
  if (compatibility === 'torchattacks') return cwOfTorchattacks(resolved);
  return minimumNorm(
    (clean, label) => new CwSearch(clean, label, resolved),
    (classifier, searches) => searchByGradient(classifier, 'margin', searches),
  );
}
