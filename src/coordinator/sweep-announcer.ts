/** @file Says how the sweep stands to workers that look for sweeps and to operators: at changes at once, and as measurements come. */
import { DEFAULT_TENANT } from '../queue/index.ts';
import type { SweepStanding } from './sweep-backend.ts';
import type { SweepContext } from './sweep-context.ts';

/** How the sweep stands is told so often, at most, as measurements come. */
const ANNOUNCE_MS = 1_000;

/** See the file's header. */
export class SweepAnnouncer {
  readonly #context: SweepContext;
  /** Ends the wait of the next announcement; undefined while none is due. */
  #due: NodeJS.Timeout | undefined;

  constructor(context: SweepContext) {
    this.#context = context;
  }

  /** @param ended how the sweep has ended; default not yet */
  async announce(ended?: 'completed' | 'stopped' | 'failed'): Promise<void> {
    clearTimeout(this.#due);
    this.#due = undefined;
    const { backend, startedAt, standing } = this.#context;
    const { source, planner, measurements } = this.#context.state;
    const state: SweepStanding['state'] = ended ?? (standing.paused ? 'paused' : 'running');
    await backend.announce({
      tenant: source.sweep.tenant ?? DEFAULT_TENANT,
      priority: standing.priority,
      state,
      startedAt,
      measurements: measurements.size,
      candidates: planner.count,
      budget: planner.budget,
    });
  }

  /** At most once per interval. Nothing waits for it. */
  announceSoon(): void {
    this.#due ??= setTimeout(() => {
      this.#due = undefined;
      if (this.#context.standing.over) return;
      this.announce().catch((error: unknown) => this.#context.logger.warn({ err: error }, 'how the sweep stands was not told'));
    }, ANNOUNCE_MS);
  }

  /** What was to be told soon isn't. */
  cancel(): void {
    clearTimeout(this.#due);
  }
}
