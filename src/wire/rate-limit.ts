/** @file A token bucket: so many messages a second on average, twice as many at once. */

export class RateLimit {
  readonly #perSecond: number;
  readonly #nowMs: () => number;
  #left: number;
  #filledAtMs: number;

  /** @param perSecond > 0. @param nowMs monotonic */
  constructor(perSecond: number, nowMs: () => number = () => performance.now()) {
    this.#perSecond = perSecond;
    this.#nowMs = nowMs;
    this.#left = 2 * perSecond;
    this.#filledAtMs = nowMs();
  }

  /** Counts one message. Returns false when it is one too many. */
  take(): boolean {
    const nowMs = this.#nowMs();
    this.#left = Math.min(2 * this.#perSecond, this.#left + ((nowMs - this.#filledAtMs) / 1000) * this.#perSecond);
    this.#filledAtMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
