/**
 * @file The queue of a sweep on NATS JetStream, as its coordinator sees it: a work queue of messages that tell workers of due tasks,
 * and a bucket with one record per task that decides whose it is (task-record.ts). Workers go on while no coordinator runs.
 */
import { checkTaskId, isConflict, type NatsLink, type SweepNames, sweepNames, tooLarge } from '../../journal/index.ts';
import { EndChannel } from '../end-channel.ts';
import { MOST_PAYLOAD_BYTES, type QueueCounts, type Retries, type Task, type TaskEnd, type TaskQueue } from '../task-queue.ts';
import { QueueWarden } from './queue-warden.ts';
import { countChange, type QueueMetrics } from '../queue-metrics.ts';
import { RecordMirror } from './record-mirror.ts';
import { FRESH, isClosed, reopened, withdrawn } from './task-record.ts';
import { ensureBucket, type QueueSettings, TaskStore } from './task-store.ts';
import { ensureTaskStream } from './task-stream.ts';

export interface JetStreamQueueOptions {
  /** The connection; stays open when the queue is closed. */
  readonly link: NatsLink;
  readonly sweepId: string;
  /** Hash of the sweep's definition: the streams of another one are refused. */
  readonly definition: string;
  /** Life of a claim without a sign of its worker. */
  readonly leaseMs: number;
  readonly retries: Retries;
  /** Claims at a time at most. Default 100 000. */
  readonly mostClaims?: number | undefined;
  /** A claim was taken from a worker that fell silent. */
  readonly onLost?: ((task: string, worker: string) => void) | undefined;
  readonly metrics?: QueueMetrics | undefined;
}

/** How long counts wait for what was just written. */
const CATCH_UP_MS = 2_000;

/**
 * Opens the queue of a sweep and makes it where it is missing. One coordinator at a time (see leadership.ts); a second one would do no
 * more harm than to publish what the first one has withdrawn.
 * @throws DeepDefenseError SWEEP_OTHER, NATS_UNSUPPORTED, STORAGE_FAILED, CONNECT_FAILED, USAGE (the sweep's name)
 */
export async function openJetStreamQueue(options: JetStreamQueueOptions): Promise<TaskQueue> {
  const { link, sweepId, definition, leaseMs, retries } = options;
  const names = sweepNames(sweepId);
  await ensureBucket(link, names, definition);
  const store = new TaskStore(link, await link.ask("can't open the bucket of the queue", () => link.bucket(names.bucket)));
  const before = await store.settings();
  const settings: QueueSettings = { leaseMs, retries, isHeld: before?.isHeld ?? false, isOver: false };
  await store.putSettings(settings);
  // Last: workers wait for the consumer.
  await ensureTaskStream(link, names, options);
  link.connection.publish(names.wakeUp);
  return new JetStreamQueue(options, names, store, settings);
}

class JetStreamQueue implements TaskQueue {
  readonly #options: JetStreamQueueOptions;
  readonly #names: SweepNames;
  readonly #store: TaskStore;
  readonly #mirror: RecordMirror;
  readonly #warden: QueueWarden;
  #settings: QueueSettings;
  /** Of open tasks that this process has published. */
  readonly #payloads = new Map<string, string>();
  readonly #ends = new EndChannel();
  /** Tasks whose end was told. */
  readonly #told = new Set<string>();
  #closed = false;

  constructor(options: JetStreamQueueOptions, names: SweepNames, store: TaskStore, settings: QueueSettings) {
    this.#options = options;
    this.#names = names;
    this.#store = store;
    this.#settings = settings;
    const { link, leaseMs, retries, onLost, metrics } = options;
    this.#mirror = new RecordMirror(link, store, `KV_${names.bucket}`, (id, record, before) => {
      countChange(metrics, record, before?.record);
      if (before !== undefined && record.preemptions > before.record.preemptions) onLost?.(id, before.record.worker);
      if (isClosed(record)) this.#payloads.delete(id);
      if (record.end !== undefined) this.#tell(record.end);
    });
    const send = async (id: string, renewals: number, payload = this.#payloads.get(id)) => {
      if (payload !== undefined) await this.#send(id, renewals, payload);
    };
    this.#warden = new QueueWarden({ link, names, store, mirror: this.#mirror, leaseMs, retries, send });
  }

  async publish({ id, payload }: Task): Promise<'published' | 'duplicate'> {
    checkTaskId(id);
    const bytes = Buffer.byteLength(payload);
    const most = Math.min(MOST_PAYLOAD_BYTES, this.#options.link.mostBytes);
    if (bytes > most) throw tooLarge(`the payload of task "${id}"`, bytes, most);
    if (this.#told.has(id)) return 'duplicate';
    let isNew = false;
    const stored = await this.#store.change(id, (record) => {
      if (record !== undefined && record.state !== 'withdrawn') return record;
      isNew = true;
      return record === undefined ? FRESH : reopened(record);
    });
    if (stored === undefined || isClosed(stored.record)) return 'duplicate';
    this.#payloads.set(id, payload);
    // The record may be there without the message, when an earlier process ended between the two.
    return (await this.#send(id, stored.record.renewals, payload)) || isNew ? 'published' : 'duplicate';
  }

  async withdraw(id: string): Promise<void> {
    const stored = await this.#store.change(id, (record) => record && withdrawn(record));
    if (stored === undefined) return;
    this.#payloads.delete(id);
    await this.#warden.purge(id);
  }

  ends(): AsyncIterable<TaskEnd> {
    return this.#ends.read();
  }

  async counts(): Promise<QueueCounts> {
    await this.#options.link.ask("can't count tasks", () => this.#mirror.caughtUp(CATCH_UP_MS));
    return this.#mirror.counts();
  }

  hold(isHeld: boolean): Promise<void> {
    return this.#change({ isHeld });
  }

  finish(): Promise<void> {
    return this.#change({ isOver: true });
  }

  /** Ends of which the server has told are read to their end. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#warden.close();
    await this.#mirror.caughtUp(CATCH_UP_MS).catch(() => {}); // The server is away: the next coordinator reads them.
    await this.#mirror.close();
    this.#closed = true;
    this.#ends.close();
  }

  #tell(end: TaskEnd): void {
    if (this.#told.has(end.task)) return;
    this.#told.add(end.task);
    this.#ends.push(end);
  }

  async #change(changes: Partial<QueueSettings>): Promise<void> {
    this.#settings = { ...this.#settings, ...changes };
    await this.#store.putSettings(this.#settings);
    this.#options.link.connection.publish(this.#names.wakeUp);
  }

  /** @returns false when the stream has a message of the task already */
  async #send(id: string, renewals: number, payload: string): Promise<boolean> {
    const { link } = this.#options;
    const msgID = renewals === 0 ? id : `${id}#${renewals}`;
    return link.ask(`can't publish task "${id}"`, async () => {
      try {
        const { duplicate } = await link.js.publish(this.#names.tasks + id, payload, { msgID, expect: { lastSubjectSequence: 0 } });
        return !duplicate;
      } catch (error) {
        if (isConflict(error)) return false;
        throw error;
      }
    });
  }
}
