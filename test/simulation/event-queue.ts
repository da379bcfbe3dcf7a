/** @file The simulation's only clock: events in order of time, then of creation. Nothing happens between two of them. */
import type { Clock } from '../../src/core/index.ts';

/** Where the virtual time begins. */
export const START_MS = 1_000_000;

interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

/** A binary heap, because a run has tens of thousands of events. */
export class EventQueue implements Clock {
  readonly #heap: Scheduled[] = [];
  #nowMs = START_MS;
  #order = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const event: Scheduled = { atMs: this.#nowMs + delayMs, order: this.#order++, callback };
    this.#push(event);
    return () => {
      event.callback = undefined;
    };
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    for (let event = this.#pop(); event !== undefined; event = this.#pop()) {
      if (event.callback === undefined) continue;
      this.#nowMs = Math.max(this.#nowMs, event.atMs);
      event.callback();
      return true;
    }
    return false;
  }

  #push(event: Scheduled): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(event, heap[parent] as Scheduled)) break;
      heap[index] = heap[parent] as Scheduled;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): Scheduled | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child += 1;
      if (!before(heap[child] as Scheduled, last)) break;
      heap[index] = heap[child] as Scheduled;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
