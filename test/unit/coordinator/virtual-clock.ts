/** @file A clock that jumps from timer to timer, for tests of protocols. */
import type { Clock } from '../../../src/core/index.ts';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Timers run in order of time, then of creation; time moves only in {@link VirtualClock.advance}. */
export class VirtualClock implements Clock {
  #nowMs = 1_000;
  #order = 0;
  readonly #timers = new Set<Timer>();

  nowMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, order: this.#order++, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Runs the next timer; false when there is none. */
  step(): boolean {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)) next = timer;
    }
    if (next === undefined) return false;
    this.#timers.delete(next);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.callback();
    return true;
  }

  /** Time passes and no timer runs, as while the process is stopped. */
  sleep(durationMs: number): void {
    this.#nowMs += durationMs;
  }

  /** Runs all timers of the next `durationMs` and lets promises settle after each. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    await settle();
    while ([...this.#timers].some(({ atMs }) => atMs <= untilMs)) {
      this.step();
      await settle();
    }
    this.#nowMs = untilMs;
  }
}

/** Lets promise callbacks run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await Promise.resolve();
}
