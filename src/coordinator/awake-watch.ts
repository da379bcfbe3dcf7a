/**
 * @file Whether this process has slept: time in which it could hear nobody, because it was stopped or busy, is no silence of those whom
 * it listens to.
 */
import type { Clock } from '../core/index.ts';

/** How often it is noted that the process is awake, and by how much that may be late. */
const AWAKE_MS = 250;
const LATE_MS = 100;

/** See the file's header. */
export class AwakeWatch {
  readonly #clock: Clock;
  readonly #onSlept: (ms: number, nowMs: number) => void;
  #isWatching = false;
  #awakeAtMs: number | undefined;
  #cancel: () => void = () => {};

  /** @param onSlept called with the length of the sleep, on waking */
  constructor(clock: Clock, onSlept: (ms: number, nowMs: number) => void) {
    this.#clock = clock;
    this.#onSlept = onSlept;
  }

  /** Watches from the first call on. Until then, time between two looks would count as sleep. */
  start(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#watch();
  }

  /** The process is awake now. To be called before anybody's silence is judged. */
  look(): void {
    const nowMs = this.#clock.nowMs();
    const sinceMs = nowMs - (this.#awakeAtMs ?? nowMs);
    this.#awakeAtMs = nowMs;
    if (sinceMs > AWAKE_MS + LATE_MS) this.#onSlept(sinceMs, nowMs);
  }

  stop(): void {
    this.#cancel();
  }

  #watch(): void {
    this.look();
    this.#cancel = this.#clock.setTimer(AWAKE_MS, () => this.#watch());
  }
}
