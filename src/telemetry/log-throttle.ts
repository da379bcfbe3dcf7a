/** @file Keeps peers from flooding the log: of each kind of line a few at once, then one every few seconds. */

/** Lines of one kind at once, and the time after which there may be one more. */
const LINES = 10;
const LINE_MS = 5_000;

interface Lines {
  left: number;
  filledAtMs: number;
  /** Not written since the last line. */
  unsaid: number;
}

export class LogThrottle<Kind extends string> {
  readonly #lines = new Map<Kind, Lines>();
  readonly #nowMs: () => number;

  /** @param nowMs monotonic */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /**
   * Asks for a line.
   * @param kind one of few
   * @returns fields for it, with the number of lines that were left out before; undefined when it must not be written
   */
  line(kind: Kind): { readonly unsaid?: number } | undefined {
    const lines = this.#lines.get(kind) ?? { left: LINES, filledAtMs: this.#nowMs(), unsaid: 0 };
    this.#lines.set(kind, lines);
    const refilled = Math.floor((this.#nowMs() - lines.filledAtMs) / LINE_MS);
    lines.left = Math.min(LINES, lines.left + refilled);
    lines.filledAtMs += refilled * LINE_MS;
    if (lines.left === 0) {
      lines.unsaid += 1;
      return undefined;
    }
    lines.left -= 1;
    const { unsaid } = lines;
    lines.unsaid = 0;
    return unsaid === 0 ? {} : { unsaid };
  }
}
