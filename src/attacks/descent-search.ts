/** @file The search that PGD and its variants share: a number of steps, each made from what the classifier says at the image. */
import { type GradientLook, isMisclassified, type Search } from './search.ts';

export interface DescentOptions {
  readonly label: number;
  /** [32,32,3] in [0,1] */
  readonly start: Float32Array;
  readonly steps: number;
  /** Takes all steps and ends at the last image, whatever came before. Default: ends at the first misclassified one. */
  readonly keepGoing?: boolean | undefined;
  /** Also looks at the image after the last step, so that {@link DescentSearch.found} and the best image are known. Default false. */
  readonly looksAtLast?: boolean | undefined;
  /** Writes the image that follows `image` into `next`. */
  readonly takeStep: (next: Float32Array, image: Float32Array, seen: GradientLook) => void;
}

/** See the file's header. */
export class DescentSearch implements Search<GradientLook> {
  readonly label: number;
  image: Float32Array;
  readonly #options: DescentOptions;
  /** Steps to take; -1 = done. */
  #left: number;
  #found = false;
  #best: Float32Array;
  #bestLoss = Number.NEGATIVE_INFINITY;
  /** For the image after the next. */
  #spare: Float32Array | undefined;

  constructor(options: DescentOptions) {
    this.label = options.label;
    this.image = options.start;
    this.#best = options.start;
    this.#options = options;
    this.#left = options.steps;
  }

  get done(): boolean {
    return this.#left < 0;
  }

  /** The last image has been seen misclassified. */
  get found(): boolean {
    return this.#found;
  }

  /** The largest loss that was seen, of {@link best}. */
  get bestLoss(): number {
    return this.#bestLoss;
  }

  /**
   * The misclassified image that it ended at, else with `looksAtLast` the one with the largest loss, else the last one: as the attack's
   * authors define it with `keepGoing`.
   */
  get best(): Float32Array {
    const { keepGoing, looksAtLast } = this.#options;
    return this.#found || keepGoing === true || looksAtLast !== true ? this.image : this.#best;
  }

  observe(seen: GradientLook): void {
    const { keepGoing, looksAtLast, takeStep, start } = this.#options;
    this.#found = isMisclassified(seen.logits, this.label);
    if (looksAtLast === true && seen.loss > this.#bestLoss) {
      this.#best = this.image;
      this.#bestLoss = seen.loss;
    }
    if (this.#left === 0 || (this.#found && keepGoing !== true)) {
      this.#left = -1;
      return;
    }
    const next = this.#spare ?? new Float32Array(this.image.length);
    takeStep(next, this.image, seen);
    // The start may be the caller's clean image.
    this.#spare = this.image === start || this.image === this.#best ? undefined : this.image;
    this.image = next;
    this.#left -= 1;
    if (this.#left === 0 && looksAtLast !== true) this.#left = -1;
  }
}
