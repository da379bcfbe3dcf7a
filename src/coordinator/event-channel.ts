/** @file Hands events from one producer to one consumer that may be slow, late or absent. */

/** Keeps at most so many events for a consumer that doesn't come; the oldest are dropped. */
const CAPACITY = 10_000;

/** An async iterable to push into. Made for one iteration; a second one shares the events with the first. */
export class EventChannel<Event> implements AsyncIterable<Event> {
  readonly #events: Event[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  push(event: Event): void {
    if (this.#closed) return;
    this.#events.push(event);
    if (this.#events.length > CAPACITY) this.#events.shift();
    this.#wake?.();
  }

  /** No more events; a consumer gets those that are left. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    for (;;) {
      while (this.#events.length > 0) yield this.#events.shift() as Event;
      if (this.#closed) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
