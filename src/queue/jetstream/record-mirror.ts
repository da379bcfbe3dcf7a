/** @file What the coordinator knows of all tasks: the records of the bucket, followed as they change. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KvWatchEntry } from '@nats-io/kv';
import type { QueuedIterator } from '@nats-io/transport-node';
import type { NatsLink } from '../../journal/index.ts';
import type { QueueCounts } from '../task-queue.ts';
import type { TaskRecord } from './task-record.ts';
import { type TaskStore, taskOfKey } from './task-store.ts';

/** A record and when it came. */
export interface Mirrored {
  /** Without the end, which may be large. */
  readonly record: Omit<TaskRecord, 'end'>;
  /** When it was seen to change, by performance.now(). */
  readonly sinceMs: number;
}

/** What changed; `before` is undefined when the task is seen for the first time. */
export type OnChange = (id: string, record: TaskRecord, before: Mirrored | undefined) => void;

const RETRY_MS = 500;
const LOOK_MS = 5;

export class RecordMirror {
  readonly #link: NatsLink;
  readonly #store: TaskStore;
  readonly #stream: string;
  readonly #onChange: OnChange;
  readonly #tasks = new Map<string, Mirrored>();
  #revision = 0;
  #watching: QueuedIterator<KvWatchEntry> | undefined;
  #closed = false;
  readonly #done: Promise<void>;
  readonly #stopListening: () => void;

  /** @param stream that of the bucket */
  constructor(link: NatsLink, store: TaskStore, stream: string, onChange: OnChange) {
    this.#link = link;
    this.#store = store;
    this.#stream = stream;
    this.#onChange = onChange;
    // A server that was started again has forgotten the watch; that would be noticed after some seconds only.
    this.#stopListening = link.onReconnect(() => this.#watching?.stop());
    this.#done = this.#follow();
  }

  entries(): IterableIterator<[string, Mirrored]> {
    return this.#tasks.entries();
  }

  counts(): QueueCounts {
    const nowMs = performance.now();
    let [waiting, claimed, oldestMs] = [0, 0, nowMs];
    for (const { record, sinceMs } of this.#tasks.values()) {
      if (record.state === 'waiting') {
        waiting += 1;
        oldestMs = Math.min(oldestMs, sinceMs);
      } else if (record.state === 'claimed') claimed += 1;
    }
    return { waiting, claimed, oldestWaitingSeconds: (nowMs - oldestMs) / 1000 };
  }

  /** This process or its connection was held up: what workers did meanwhile is still to be seen. */
  forgive(): void {
    const sinceMs = performance.now();
    for (const [id, { record }] of this.#tasks) this.#tasks.set(id, { record, sinceMs });
  }

  /** Resolves when all is seen that was written before the call, or after `timeoutMs`. */
  async caughtUp(timeoutMs: number): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    const { state } = await this.#link.jsm.streams.info(this.#stream);
    while (this.#revision < state.last_seq && performance.now() < untilMs && !this.#closed) await sleep(LOOK_MS);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening();
    this.#watching?.stop();
    await this.#done;
  }

  /** All records in the order of their last change, then each change; from the beginning again after each loss of the connection. */
  async #follow(): Promise<void> {
    while (!this.#closed && !this.#link.isClosed) {
      try {
        this.#revision = 0;
        const watching = await this.#store.kv.watch();
        this.#watching = watching;
        if (this.#closed) watching.stop();
        for await (const entry of watching) this.#see(entry);
      } catch {
        // The server is away, which the link tells.
        if (!this.#closed) await sleep(RETRY_MS);
      }
    }
  }

  #see(entry: KvWatchEntry): void {
    const id = taskOfKey(entry.key);
    if (id !== undefined) {
      const record = entry.json<TaskRecord>();
      const before = this.#tasks.get(id);
      const { end: _, ...small } = record;
      this.#tasks.set(id, { record: small, sinceMs: performance.now() });
      this.#onChange(id, record, before);
    }
    this.#revision = entry.revision;
  }
}
