/** @file The KV bucket of a sweep: one key per task, and one for what workers must know of the sweep. */
import type { KV } from '@nats-io/kv';
import { describeStream, ensureStream, isConflict, type NatsLink, natsError, type SweepNames, tooLarge } from '../../journal/index.ts';
import type { Retries } from '../task-queue.ts';
import type { TaskRecord } from './task-record.ts';

/** Written by the coordinator, read by workers before they take a task. */
export interface QueueSettings {
  readonly leaseMs: number;
  readonly retries: Retries;
  /** No task is given out. */
  readonly isHeld: boolean;
  /** There will be no more tasks. */
  readonly isOver: boolean;
}

/** A record as it was read or written. */
export interface Stored {
  readonly record: TaskRecord;
  /** Of the bucket; rises with every write. */
  readonly revision: number;
}

const SETTINGS_KEY = 'settings';
const TASK_PREFIX = 'task.';

/** Makes the bucket where it is missing. @throws DeepDefenseError SWEEP_OTHER, NATS_UNSUPPORTED, STORAGE_FAILED, CONNECT_FAILED */
export async function ensureBucket(link: NatsLink, names: SweepNames, definition: string): Promise<void> {
  await ensureStream(link, {
    name: `KV_${names.bucket}`,
    subjects: [`$KV.${names.bucket}.>`],
    description: describeStream(names.sweep, definition),
    retention: 'limits',
    storage: 'file',
    discard: 'new',
    max_msgs_per_subject: 1,
    allow_rollup_hdrs: true,
    deny_delete: true,
    // A copy that is behind might answer direct reads.
    allow_direct: false,
  });
}

/** Task id of a key; undefined for other keys. */
export function taskOfKey(key: string): string | undefined {
  return key.startsWith(TASK_PREFIX) ? key.slice(TASK_PREFIX.length) : undefined;
}

/** See the file's header. */
export class TaskStore {
  readonly #link: NatsLink;
  readonly kv: KV;

  constructor(link: NatsLink, kv: KV) {
    this.#link = link;
    this.kv = kv;
  }

  /**
   * @returns undefined before a coordinator has opened the queue
   * @throws DeepDefenseError CONNECT_FAILED
   */
  settings(signal?: AbortSignal): Promise<QueueSettings | undefined> {
    const read = async () => (await this.kv.get(SETTINGS_KEY))?.json<QueueSettings>();
    return this.#link.ask("can't read the settings of the queue", read, signal);
  }

  /** For the coordinator alone. */
  async putSettings(settings: QueueSettings): Promise<void> {
    await this.#link.ask("can't write the settings of the queue", () => this.kv.put(SETTINGS_KEY, JSON.stringify(settings)));
  }

  read(id: string): Promise<Stored | undefined> {
    return this.#link.ask(`can't read task "${id}"`, () => this.#read(id));
  }

  /**
   * Changes a record by compare-and-swap.
   * @param decide the new record, from the one that stands and its revision (0 = none); what it was given = nothing to do. May be called several times, also with what it has decided itself
   * @param options.known the record as it was seen last; saves a read
   * @param options.once fails at once for want of a connection; what became of the change isn't known then
   * @returns the record as it stands; undefined when there is none and none was made
   * @throws DeepDefenseError CONNECT_FAILED, STORAGE_FAILED, PAYLOAD_TOO_LARGE; what `decide` throws
   */
  async change(
    id: string,
    decide: (record: TaskRecord | undefined, revision: number) => TaskRecord | undefined,
    { known, once = false }: { readonly known?: Stored | undefined; readonly once?: boolean } = {},
  ): Promise<Stored | undefined> {
    const what = `can't change task "${id}"`;
    let current = known;
    const attempt = async (): Promise<Stored | undefined> => {
      for (;;) {
        const before = current ?? (await this.#read(id));
        // Whatever happens to the write: the next attempt looks first.
        current = undefined;
        const record = decide(before?.record, before?.revision ?? 0);
        if (record === undefined || record === before?.record) return before;
        try {
          return { record, revision: await this.#write(id, record, before?.revision ?? 0) };
        } catch (error) {
          if (!isConflict(error)) throw error;
        }
      }
    };
    try {
      return once ? await this.#link.attempt(attempt) : await this.#link.ask(what, attempt);
    } catch (error) {
      throw natsError(what, this.#link.servers, error);
    }
  }

  async #read(id: string): Promise<Stored | undefined> {
    const entry = await this.kv.get(TASK_PREFIX + id);
    return entry === null ? undefined : { record: entry.json<TaskRecord>(), revision: entry.revision };
  }

  #write(id: string, record: TaskRecord, revision: number): Promise<number> {
    const text = JSON.stringify(record);
    const bytes = Buffer.byteLength(text);
    if (bytes > this.#link.mostBytes) throw tooLarge(`the result of task "${id}"`, bytes, this.#link.mostBytes);
    return this.kv.put(TASK_PREFIX + id, text, { previousSeq: revision });
  }
}
