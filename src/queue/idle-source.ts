/** @file A source that ends when it has had no task for a while: for workers that cost money while they wait. */
import { type Clock, systemClock } from '../core/index.ts';
import type { TaskSource } from './task-queue.ts';

/**
 * The same source; a claim that has waited for `idleMs` is told that there are no more tasks. Time at work doesn't count.
 * @param idleMs > 0
 */
export function endWhenIdle(source: TaskSource, idleMs: number, clock: Clock = systemClock): TaskSource {
  return {
    claim: async (worker, signal) => {
      const patience = new AbortController();
      const stop = () => patience.abort();
      signal.addEventListener('abort', stop);
      if (signal.aborted) stop();
      const cancelTimer = clock.setTimer(idleMs, stop);
      try {
        return await source.claim(worker, patience.signal);
      } finally {
        cancelTimer();
        signal.removeEventListener('abort', stop);
      }
    },
    close: () => source.close(),
  };
}
