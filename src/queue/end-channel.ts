/** @file Hands the ends of tasks from a queue to its one reader; none is dropped. */
import type { TaskEnd } from './task-queue.ts';

export class EndChannel {
  readonly #ends: TaskEnd[] = [];
  #closed = false;
  #wakeReader: () => void = () => {};

  push(end: TaskEnd): void {
    this.#ends.push(end);
    this.#wakeReader();
  }

  /** No more ends; the reader gets those that are left. */
  close(): void {
    this.#closed = true;
    this.#wakeReader();
  }

  async *read(): AsyncIterable<TaskEnd> {
    for (;;) {
      const end = this.#ends.shift();
      if (end !== undefined) yield end;
      else if (this.#closed) return;
      else
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
    }
  }
}
