/**
 * @file What a coordinator does for its queue besides publishing: takes tasks from silent workers, replaces messages that the stream
 * doesn't deliver any more, and deletes those of tasks that are over, which come back when the server is killed.
 */
import type { ConsumerInfo } from '@nats-io/jetstream';
import { JS_ERROR, jetStreamCode, type NatsLink, type SweepNames } from '../../journal/index.ts';
import type { Retries } from '../task-queue.ts';
import type { RecordMirror } from './record-mirror.ts';
import { isClosed, lost, renewed } from './task-record.ts';
import type { TaskStore } from './task-store.ts';

export interface QueueWardenOptions {
  readonly link: NatsLink;
  readonly names: SweepNames;
  readonly store: TaskStore;
  readonly mirror: RecordMirror;
  readonly leaseMs: number;
  readonly retries: Retries;
  /** Sends the message of a task; `payload` undefined = the one that was published by this process. */
  readonly send: (id: string, renewals: number, payload: string | undefined) => Promise<unknown>;
}

/** Looks at claims per lease. */
const LOOKS_PER_LEASE = 4;
/** The stream is compared with the records so often, at least a lease apart. */
const COMPARE_MS = 5_000;
/** A task that was quiet for so many leases, and isn't delivered any more, gets a new message. */
const STUCK_LEASES = 3;

export class QueueWarden {
  readonly #options: QueueWardenOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;
  #lookedMs = performance.now();
  #comparedMs = performance.now();
  #looking: Promise<void> | undefined;
  /** What was out of order at the last comparison; messages on their way are no reason to act. */
  #suspects: ReadonlySet<string> = new Set();

  constructor(options: QueueWardenOptions) {
    this.#options = options;
    const { link, names, mirror, leaseMs } = options;
    this.#timer = setInterval(() => this.#tick(), leaseMs / LOOKS_PER_LEASE);
    // Not kept by the server: the comparison finds what was missed.
    const advisories = `$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${names.taskStream}.${names.consumer}`;
    const subscription = link.connection.subscribe(advisories, {
      callback: (error, message) => {
        if (error === null) void this.#undeliverable(message.json<{ stream_seq: number }>().stream_seq).catch(() => {});
      },
    });
    const stopReconnects = link.onReconnect(() => mirror.forgive());
    this.#stopListening = () => {
      stopReconnects();
      if (!link.isClosed) subscription.unsubscribe();
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopListening();
    await this.#looking;
  }

  /** Deletes the message of a task. Not by a purge of its subject: nats-server 2.9 then skips messages of other subjects for the consumer. */
  async purge(id: string): Promise<void> {
    const { link, names } = this.#options;
    const last_by_subj = names.tasks + id;
    await link.ask(`can't delete the message of task "${id}"`, async () => {
      const message = await link.jsm.streams.getMessage(names.taskStream, { last_by_subj });
      if (message === null) return;
      try {
        await link.jsm.streams.deleteMessage(names.taskStream, message.seq);
      } catch (error) {
        // Acknowledged meanwhile.
        if (jetStreamCode(error) !== JS_ERROR.MESSAGE_GONE && jetStreamCode(error) !== JS_ERROR.MESSAGE_NOT_FOUND) throw error;
      }
    });
  }

  #tick(): void {
    this.#looking ??= this.#look()
      // The server is away: later again.
      .catch(() => {})
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #look(): Promise<void> {
    const { link, mirror, leaseMs } = this.#options;
    const nowMs = performance.now();
    const isLate = nowMs - this.#lookedMs > leaseMs / 2;
    this.#lookedMs = nowMs;
    if (isLate || !link.isConnected) return mirror.forgive();
    for (const [id, { record, sinceMs }] of [...mirror.entries()]) {
      if (record.state === 'claimed' && nowMs - sinceMs > leaseMs) await this.#takeAway(id, record.claim, record.beats);
    }
    if (nowMs - this.#comparedMs > Math.max(COMPARE_MS, leaseMs)) {
      this.#comparedMs = nowMs;
      await this.#compare();
    }
    // What it took isn't a delay of this process.
    this.#lookedMs = performance.now();
  }

  async #takeAway(id: string, claim: string, beats: number): Promise<void> {
    const { store, retries } = this.#options;
    const stored = await store.change(id, (record) =>
      record?.state === 'claimed' && record.claim === claim && record.beats === beats ? lost(id, record, retries) : record,
    );
    if (stored !== undefined && isClosed(stored.record)) await this.purge(id);
  }

  /** The stream has given up on a message. */
  async #undeliverable(sequence: number): Promise<void> {
    const { link, names, store } = this.#options;
    const message = await link.jsm.streams.getMessage(names.taskStream, { seq: sequence });
    if (message === null) return;
    const id = message.subject.slice(names.tasks.length);
    const stored = await store.read(id);
    if (stored === undefined || isClosed(stored.record)) await this.purge(id);
    else await this.#renew(id);
  }

  /** Each open task should have a message that is delivered some time, and no other task one. */
  async #compare(): Promise<void> {
    const { link, names, mirror, leaseMs } = this.#options;
    const [{ state }, consumer] = await Promise.all([
      link.jsm.streams.info(names.taskStream, { subjects_filter: `${names.tasks}>` }),
      link.jsm.consumers.info(names.taskStream, names.consumer),
    ]);
    const subjects = new Set(Object.keys(state.subjects ?? {}));
    const hasUndelivered = state.messages > consumer.num_pending + consumer.num_ack_pending;
    const suspects = new Set<string>();
    for (const [id, { record, sinceMs }] of mirror.entries()) {
      const isThere = subjects.has(names.tasks + id);
      const isQuiet = performance.now() - sinceMs > STUCK_LEASES * leaseMs;
      if (isClosed(record) ? isThere : !isThere || (hasUndelivered && isQuiet)) suspects.add(id);
    }
    for (const id of suspects) if (this.#suspects.has(id)) await this.#mend(id, subjects.has(names.tasks + id), consumer);
    this.#suspects = suspects;
  }

  async #mend(id: string, isThere: boolean, consumer: ConsumerInfo): Promise<void> {
    const { link, names, store } = this.#options;
    const stored = await store.read(id);
    if (stored === undefined || isClosed(stored.record)) return this.purge(id);
    if (!isThere) return this.#renew(id);
    const message = await link.jsm.streams.getMessage(names.taskStream, { last_by_subj: names.tasks + id });
    if (message !== null && message.seq <= consumer.delivered.stream_seq) await this.#renew(id);
  }

  /** Replaces the message of a task. Doing so without need does no harm: the record says whose the task is. */
  async #renew(id: string): Promise<void> {
    const { link, names, store, retries, send } = this.#options;
    const message = await link.jsm.streams.getMessage(names.taskStream, { last_by_subj: names.tasks + id });
    const stored = await store.change(id, (record) => (record === undefined || isClosed(record) ? record : renewed(id, record, retries)));
    await this.purge(id);
    if (stored !== undefined && !isClosed(stored.record)) await send(id, stored.record.renewals, message?.string());
  }
}
