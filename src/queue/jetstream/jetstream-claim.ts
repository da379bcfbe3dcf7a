/** @file A task in the hands of a worker: its message of the stream and its record in the bucket. */
import type { JsMsg } from '@nats-io/jetstream';
import type { Claim, Retries, Task, TaskError } from '../task-queue.ts';
import { committed, extended, failed, givenBack, isClosed, type TaskRecord } from './task-record.ts';
import type { Stored, TaskStore } from './task-store.ts';

export interface JetStreamClaimOptions {
  readonly store: TaskStore;
  readonly message: JsMsg;
  readonly task: Task;
  /** The record with this claim. */
  readonly stored: Stored;
  readonly leaseMs: number;
  readonly retries: Retries;
}

/**
 * The record decides; the message is only told afterwards, because it takes any acknowledgement, that of a worker that has lost its
 * claim included.
 */
export class JetStreamClaim implements Claim {
  readonly task: Task;
  readonly epoch: number;
  readonly leaseMs: number;
  readonly #options: JetStreamClaimOptions;
  /** Unique name of the claim. */
  readonly name: string;
  /** The record as it was seen last; undefined when it isn't known what became of a change. */
  #known: Stored | undefined;
  /** Changes of one claim run one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: JetStreamClaimOptions) {
    const { task, stored, leaseMs } = options;
    this.task = task;
    this.epoch = stored.record.epoch;
    this.leaseMs = leaseMs;
    this.#options = options;
    this.name = stored.record.claim;
    this.#known = stored;
  }

  /** Fails at once with CONNECT_FAILED when the server is away: the next one does as well. */
  async extend(): Promise<void> {
    await this.#change((record) => extended(this.task.id, record, this.name), true);
    this.#options.message.working();
  }

  async commit(result: string): Promise<void> {
    await this.#change((record) => committed(this.task.id, record, this.name, result));
    this.#options.message.ack();
  }

  async fail(error: TaskError, isLasting: boolean): Promise<void> {
    const { retries, message } = this.#options;
    const { state } = await this.#change((record) => failed(this.task.id, record, { claim: this.name, error, isLasting, retries }));
    if (state === 'waiting') message.nak();
    else message.ack();
  }

  async release(): Promise<void> {
    await this.#change((record) => givenBack(this.task.id, record, this.name));
    this.#options.message.nak();
  }

  #change(decide: (record: TaskRecord | undefined) => TaskRecord, once = false): Promise<TaskRecord> {
    const changed = this.#last.then(async () => {
      const known = this.#known;
      this.#known = undefined;
      let seen = known?.record;
      const decided = (record: TaskRecord | undefined) => {
        seen = record;
        return decide(record);
      };
      try {
        const stored = (await this.#options.store.change(this.task.id, decided, { known, once })) as Stored;
        this.#known = stored;
        return stored.record;
      } catch (error) {
        // Nobody needs the message any more.
        if (seen !== undefined && isClosed(seen)) this.#options.message.ack();
        throw error;
      }
    });
    this.#last = changed.catch(() => {});
    return changed;
  }
}
