/** @file How long units of a job take, from which follows when a lease is late. Pure: times come in as arguments. */

/** A lease is late when it is out for this many times as long as its units take on average... */
const LATE_FACTOR = 2;
/** ...and for longer than this, in ms: below, messages and timers matter more than computation. */
const MIN_LATE_MS = 100;

/** Mean time of a unit, from its lease or its worker's last answer to its own. */
export class Pace {
  #totalMs = 0;
  #units = 0;

  /** Some units were answered that took so long together. */
  add(elapsedMs: number, units: number): void {
    this.#totalMs += elapsedMs;
    this.#units += units;
  }

  /** Lets what was measured so far count half of what comes. */
  fade(): void {
    this.#totalMs /= 2;
    this.#units /= 2;
  }

  /** Age in ms from which a lease on so many units is late; undefined before the first answer. */
  lateAfterMs(units: number): number | undefined {
    if (this.#units === 0) return undefined;
    return Math.max(MIN_LATE_MS, (LATE_FACTOR * this.#totalMs * units) / this.#units);
  }
}
