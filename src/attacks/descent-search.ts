/** @file The search that PGD and its variants share: a number of steps, each made from what the classifier says at the image. */
import { type GradientLook, isMisclassified, type Search } from './search.ts';

export interface DescentOptions {
  readonly label: number;
  /** [32,32,3] in [0,1] */
  readonly start: Float32Array;
  readonly steps: number;
  /** Takes all steps and ends at the last image, whatever came before. Default: ends at the first misclassified one. */
  readonly keepGoing?: boolean | undefined;
  /** Writes the image that follows `image` into `next`. */
  readonly takeStep: (next: Float32Array, image: Float32Array, seen: GradientLook) => void;
}

/** See the file's header. */
export class DescentSearch implements Search<GradientLook> {
  readonly label: number;
  image: Float32Array;
  readonly #options: DescentOptions;
  #left: number;
  #found = false;
  #best: Float32Array;
  #bestLoss = Number.NEGATIVE_INFINITY;

  constructor(options: DescentOptions) {
    this.label = options.label;
    this.image = options.start;
    this.#best = options.start;
    this.#options = options;
    this.#left = options.steps;
  }

  get done(): boolean {
    return this.#left < 0 || (this.#found && this.#options.keepGoing !== true);
  }

  /** The last image has been seen misclassified. */
  get found(): boolean {
    return this.#found;
  }

  /** The largest loss that was seen, of {@link best}. */
  get bestLoss(): number {
    return this.#bestLoss;
  }

  /** The misclassified image that it ended at, else the one with the largest loss. With `keepGoing` the last one, as the attack's authors define it. */
  get best(): Float32Array {
    return this.#found || this.#options.keepGoing === true ? this.image : this.#best;
  }

  observe(seen: GradientLook): void {
    this.#found = isMisclassified(seen.logits, this.label);
    if (seen.loss > this.#bestLoss) {
      this.#best = this.image;
      this.#bestLoss = seen.loss;
    }
    this.#left -= 1;
    if (this.done) return;
    const next = new Float32Array(this.image.length);
    this.#options.takeStep(next, this.image, seen);
    this.image = next;
  }
}
