/**
 * @file The queue of a sweep on NATS JetStream, as a worker sees it. A message of the stream says that a task may be due; whether it is,
 * and whose, says its record in the bucket (task-record.ts).
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsMsg } from '@nats-io/jetstream';
import { DeepDefenseError } from '../../core/index.ts';
import { type NatsLink, type SweepNames, sweepNames } from '../../journal/index.ts';
import type { Claim, TaskSource } from '../task-queue.ts';
import { JetStreamClaim } from './jetstream-claim.ts';
import { MessagePulls } from './message-pulls.ts';
import { SweepRegistry } from './sweep-registry.ts';
import { TenantQuota } from './tenant-quota.ts';
import { FRESH, holds, isClosed, lost, type TaskRecord, taken } from './task-record.ts';
import { type QueueSettings, type Stored, TaskStore } from './task-store.ts';

export interface JetStreamSourceOptions {
  /** The connection; stays open when the source is closed. Its patience is the worker's. */
  readonly link: NatsLink;
  readonly sweepId: string;
}

/** How often a worker looks whether the queue is still held; it is told, too. */
const HELD_LOOK_MS = 2_000;
/** How often a worker looks whether its tenant's quota has room, with a spread of half as much. */
const ROOM_LOOK_MS = 1_000;
/** So long a sweep leaves the room to others of its tenant: each of them has looked by then. */
const YIELD_MS = 2 * ROOM_LOOK_MS;
/** A redelivered task whose worker may be alive is watched for this share of a lease before it is taken over... */
const WATCHED_SHARE = 1 / 2;
/** ...with so many looks. A worker extends its claim four times per lease. */
const LOOKS = 4;

/**
 * Waits for the coordinator to have made the queue.
 * @throws DeepDefenseError CONNECT_FAILED when the queue isn't there within the patience of the link
 */
export async function openJetStreamSource({ link, sweepId }: JetStreamSourceOptions): Promise<TaskSource> {
  const names = sweepNames(sweepId);
  return link.ask(`can't open the queue of sweep "${sweepId}"`, async () => {
    try {
      const consumer = await link.js.consumers.get(names.taskStream, names.consumer);
      const store = new TaskStore(link, await link.bucket(names.bucket));
      // Coordinators write it before they make the consumer; those of version 0.1.0 and before don't.
      const entry = await (await SweepRegistry.find(link))?.get(sweepId);
      const quota = entry === undefined ? undefined : await TenantQuota.find(link, entry.tenant, sweepId);
      return new JetStreamSource({ link, names, store, pulls: new MessagePulls(link, consumer), quota });
    } catch (error) {
      throw notFound(error) ? noQueue(link, sweepId, error) : error;
    }
  });
}

function notFound(error: unknown): boolean {
  return error instanceof Error && /not found/.test(error.message);
}

function noQueue(link: NatsLink, sweepId: string, cause: unknown): DeepDefenseError {
  return new DeepDefenseError('CONNECT_FAILED', {
    what: `there is no queue of sweep "${sweepId}" on NATS at ${link.servers}`,
    todo: "start the sweep's coordinator, which makes it",
    fields: { sweep: sweepId },
    cause,
  });
}

interface SourceParts {
  readonly link: NatsLink;
  readonly names: SweepNames;
  readonly store: TaskStore;
  readonly pulls: MessagePulls;
  readonly quota: TenantQuota | undefined;
}

class JetStreamSource implements TaskSource {
  readonly #link: NatsLink;
  readonly #names: SweepNames;
  readonly #store: TaskStore;
  readonly #pulls: MessagePulls;
  readonly #quota: TenantQuota | undefined;
  readonly #closing = new AbortController();
  readonly #stopListening: () => void;
  #wake: () => void = () => {};
  #woken: Promise<void> = Promise.resolve();

  constructor({ link, names, store, pulls, quota }: SourceParts) {
    this.#link = link;
    this.#names = names;
    this.#store = store;
    this.#pulls = pulls;
    this.#quota = quota;
    this.#arm();
    const subscription = link.connection.subscribe(names.wakeUp, { callback: () => this.#arm() });
    const stopReconnects = link.onReconnect(() => {
      pulls.forget();
      this.#arm();
    });
    this.#stopListening = () => {
      stopReconnects();
      if (!link.isClosed) subscription.unsubscribe();
    };
  }

  async claim(worker: string, signal: AbortSignal): Promise<Claim | undefined> {
    const aborted = AbortSignal.any([signal, this.#closing.signal]);
    const abort = new Promise<void>((resolve) => {
      aborted.addEventListener('abort', () => resolve(), { once: true });
    });
    while (!aborted.aborted) {
      this.#link.checkPatience();
      const interrupted = Promise.race([abort, this.#woken]);
      const settings = await this.#store.settings(aborted);
      if (settings?.isOver === true) return undefined;
      if (settings === undefined || settings.isHeld) {
        await Promise.race([interrupted, sleep(HELD_LOOK_MS)]);
        continue;
      }
      if (this.#quota !== undefined && !(await this.#quota.hasRoom(() => this.#pulls.hasSome()))) {
        await Promise.race([interrupted, sleep(ROOM_LOOK_MS * (1 + Math.random() / 2))]);
        continue;
      }
      const message = await this.#pulls.next(interrupted);
      const claim = message === undefined ? undefined : await this.#take(message, worker);
      if (claim === undefined) continue;
      const admitted = this.#quota === undefined ? claim : await this.#admitted(claim, this.#quota);
      if (admitted !== undefined && !aborted.aborted) return admitted;
      // No room after all, or nobody who wants it.
      await (admitted ?? claim).release();
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#pulls.close();
    this.#stopListening();
  }

  /** Ends all waits, and begins new ones. */
  #arm(): void {
    this.#wake();
    this.#woken = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** @returns undefined when the task isn't due */
  async #take(message: JsMsg, worker: string): Promise<JetStreamClaim | undefined> {
    const id = message.subject.slice(this.#names.tasks.length);
    const [settings, found] = await Promise.all([this.#store.settings(), this.#store.read(id)]);
    // Held since the message was asked for.
    if (settings === undefined || settings.isHeld || settings.isOver) {
      message.nak();
      return undefined;
    }
    const { leaseMs, retries } = settings;
    const silent = found?.record.state === 'claimed' ? await this.#watch(message, id, found, settings) : undefined;
    const claim = randomUUID();
    const decide = (record: TaskRecord = FRESH, revision: number): TaskRecord => {
      if (isClosed(record) || holds(record, claim)) return record;
      if (record.state === 'waiting') return taken(record, revision, worker, claim);
      if (silent?.record.claim !== record.claim || silent.record.beats !== record.beats) return record;
      const free = lost(id, record, retries);
      return isClosed(free) ? free : taken(free, revision, worker, claim);
    };
    const stored = await this.#store.change(id, decide, { known: silent ?? (found?.record.state === 'waiting' ? found : undefined) });
    if (stored !== undefined && holds(stored.record, claim)) {
      return new JetStreamClaim({ store: this.#store, message, task: { id, payload: message.string() }, stored, leaseMs, retries });
    }
    // Over: acknowledged once more, as after a crash of the server. With another worker: it comes again in case that one dies.
    if (stored !== undefined && isClosed(stored.record)) message.ack();
    else message.nak(leaseMs);
    return undefined;
  }

  /** The claim within the quota of the tenant, which it leaves when it is settled; undefined when there is no room. */
  async #admitted(claim: JetStreamClaim, quota: TenantQuota): Promise<Claim | undefined> {
    if (!(await quota.enter(claim.task.id, claim.name))) return undefined;
    const leaving = async (settled: Promise<void>): Promise<void> => {
      try {
        await settled;
      } finally {
        // Whoever needs the room finds out by itself, when this fails.
        await quota.leave(claim.name, YIELD_MS).catch(() => {});
      }
    };
    return {
      task: claim.task,
      epoch: claim.epoch,
      leaseMs: claim.leaseMs,
      extend: () => claim.extend(),
      commit: (result) => leaving(claim.commit(result)),
      fail: (error, isLasting) => leaving(claim.fail(error, isLasting)),
      release: () => leaving(claim.release()),
    };
  }

  /**
   * Looks for signs of the worker that has a task: it may be alive although its message came again, when the server was away or has
   * forgotten to whom it gave it.
   * @returns its record when there was no sign; undefined when it has changed
   */
  async #watch(message: JsMsg, id: string, found: Stored, { leaseMs }: QueueSettings): Promise<Stored | undefined> {
    for (let look = 0; look < LOOKS; look++) {
      message.working();
      await sleep((leaseMs * WATCHED_SHARE) / LOOKS);
      const now = await this.#store.read(id);
      if (now?.revision !== found.revision) return undefined;
    }
    return found;
  }
}
