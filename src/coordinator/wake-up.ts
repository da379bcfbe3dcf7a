/** @file One timer that fires at the earliest of all asked times. */
import type { Clock } from '../core/index.ts';

/** Whoever is woken asks again for what still lies ahead. */
export class WakeUp {
  readonly #clock: Clock;
  readonly #wake: () => void;
  #timer: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #closed = false;

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Wakes at `atMs` of the clock or earlier. */
  at(atMs: number): void {
    if (this.#closed || (this.#timer !== undefined && this.#timer.atMs <= atMs)) return;
    this.#timer?.cancel();
    const cancel = this.#clock.setTimer(Math.max(0, atMs - this.#clock.nowMs()), () => {
      this.#timer = undefined;
      this.#wake();
    });
    this.#timer = { atMs, cancel };
  }

  /** Never wakes again. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
