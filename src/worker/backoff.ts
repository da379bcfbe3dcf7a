/** @file Waits between attempts: they double up to a limit and are spread by chance, so that many workers don't return in one moment. */

const FIRST_MS = 200;
const LIMIT_MS = 5_000;

/** Back-off of one connection. */
export class Backoff {
  readonly #random: () => number;
  #attempt = 0;

  /** @param random uniform in [0, 1); chance decides when a worker returns, never what it computes */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The next wait in milliseconds: between half of and the whole of 200 ms doubled per attempt, at most 5 s. */
  nextMs(): number {
    const wholeMs = Math.min(LIMIT_MS, FIRST_MS * 2 ** this.#attempt);
    this.#attempt += 1;
    return wholeMs * (0.5 + this.#random() / 2);
  }

  /** The connection works again. */
  reset(): void {
    this.#attempt = 0;
  }
}

/** Resolves after `milliseconds`, or at once when the signal is aborted. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, milliseconds);
    signal.addEventListener('abort', finish, { once: true });
  });
}
