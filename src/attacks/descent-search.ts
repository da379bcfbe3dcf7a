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

/** See the file's header; the result is {@link image} when it is done. The image after the last step isn't looked at. */
export class DescentSearch implements Search<GradientLook> {
  readonly label: number;
  image: Float32Array;
  readonly #options: DescentOptions;
  #left: number;
  /** For the image after the next. */
  #spare: Float32Array | undefined;

  constructor(options: DescentOptions) {
    this.label = options.label;
    this.image = options.start;
    this.#options = options;
    this.#left = options.steps;
  }

  get done(): boolean {
    return this.#left <= 0;
  }

  observe(seen: GradientLook): void {
    const { keepGoing, takeStep, start } = this.#options;
    if (keepGoing !== true && isMisclassified(seen.logits, this.label)) {
      this.#left = 0;
      return;
    }
    const next = this.#spare ?? new Float32Array(this.image.length);
    takeStep(next, this.image, seen);
    // The start may be the caller's clean image.
    this.#spare = this.image === start ? undefined : this.image;
    this.image = next;
    this.#left -= 1;
  }
}
