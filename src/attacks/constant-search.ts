/** @file Binary search over the constant c that weighs misclassification against distance (Carlini and Wagner 2017, section VI-A). */

/** Grows c tenfold until the attack succeeds, then bisects between the largest that failed and the smallest that succeeded. */
export class ConstantSearch {
  #constant: number;
  #lower = 0;
  #upper = Number.POSITIVE_INFINITY;

  /** @param first the first c, > 0 */
  constructor(first: number) {
    this.#constant = first;
  }

  /** The c to try. */
  get constant(): number {
    return this.#constant;
  }

  /** Moves on to the next c. */
  next(succeeded: boolean): void {
    if (succeeded) this.#upper = Math.min(this.#upper, this.#constant);
    else this.#lower = Math.max(this.#lower, this.#constant);
    this.#constant = Number.isFinite(this.#upper) ? (this.#lower + this.#upper) / 2 : this.#constant * 10;
  }
}

/** Ends a descent whose loss no longer falls: looks at ten losses spread over the descent. */
export class StallCheck {
  readonly #period: number;
  readonly #factor: number;
  #previous = Number.POSITIVE_INFINITY;

  /**
   * @param steps of the descent
   * @param factor stalled where a loss is above so many times the loss a tenth of the steps before
   */
  constructor(steps: number, factor: number) {
    this.#period = Math.max(Math.trunc(steps / 10), 1);
    this.#factor = factor;
  }

  restart(): void {
    this.#previous = Number.POSITIVE_INFINITY;
  }

  /** @param step from 0 on @returns true where the descent should end */
  isStalled(step: number, loss: number): boolean {
    if (step % this.#period !== 0) return false;
    const stalled = loss > this.#previous * this.#factor;
    this.#previous = loss;
    return stalled;
  }
}
