/**
 * @file Which workers get no new lease for a while, since they lost leases by their own fault: a worker that fails again and again
 * would else cost every step its time. By worker id, so that a worker that reconnects stays quarantined. Pure: times come in as arguments.
 */

/** Of the first incident, in ms. */
const FIRST_MS = 2_000;
/** No quarantine is longer, in ms. */
const LONGEST_MS = 300_000;
/** After every so many answered tasks the next quarantine is half as long. */
const TASKS_TO_HALVE = 20;

interface Record {
  /** Length of the next quarantine in ms. */
  nextMs: number;
  untilMs: number;
  /** Tasks answered since the last incident or halving. */
  answered: number;
}

/** See the file's header. */
export class Quarantine {
  readonly #records = new Map<string, Record>();

  /** The worker lost its leases or became silent. Returns the length of its quarantine in ms. */
  incident(workerId: string, nowMs: number): number {
    const lengthMs = this.#records.get(workerId)?.nextMs ?? FIRST_MS;
    this.#records.set(workerId, { nextMs: Math.min(lengthMs * 2, LONGEST_MS), untilMs: nowMs + lengthMs, answered: 0 });
    return lengthMs;
  }

  /** The worker has answered a task. */
  answered(workerId: string): void {
    const record = this.#records.get(workerId);
    if (record === undefined) return;
    record.answered += 1;
    if (record.answered < TASKS_TO_HALVE) return;
    record.answered = 0;
    record.nextMs /= 2;
    if (record.nextMs < FIRST_MS) this.#records.delete(workerId);
  }

  /** End of the worker's quarantine; undefined when it is in none. */
  untilMs(workerId: string, nowMs: number): number | undefined {
    const untilMs = this.#records.get(workerId)?.untilMs;
    return untilMs !== undefined && untilMs > nowMs ? untilMs : undefined;
  }
}
