/**
 * @file Who coordinates a sweep: one key per sweep, which its leader writes again every second by compare-and-swap. No clocks are
 * compared: a leader is taken for dead when its key has not changed for some seconds of somebody who watched it all the while. A leader
 * that was frozen for longer finds another revision there and must stop; its journal refuses it anyway.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KV } from '@nats-io/kv';
import { DeepDefenseError } from '../../core/index.ts';
import {
  findSharedBucket,
  isConflict,
  isTransient,
  LEADERS_BUCKET,
  type NatsLink,
  natsError,
  openSharedBucket,
  sweepNames,
} from '../../journal/index.ts';

export interface LeadershipOptions {
  readonly link: NatsLink;
  readonly sweepId: string;
  /** Another one leads now: whatever this process does for the sweep must end. Called once. */
  readonly onLost: (error: DeepDefenseError) => void;
}

export interface TakeOptions {
  /** Waits until the leader has gone, instead of failing with RUN_IN_USE. */
  readonly standby: boolean;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/** How often a leader writes its key. */
const REFRESH_MS = 1_000;
/** How often the others look. */
const LOOK_MS = 500;
/** A leader that was silent for so long is taken for dead; time to spare for a reconnection. */
const DEAD_MS = 6_000;

interface LeaderKey {
  /** Unique per leadership. */
  readonly leader: string;
  readonly host: string;
  readonly processId: number;
  readonly beats: number;
}

/** Leads until {@link release}, or until `onLost` is called. */
export interface Leadership {
  /** Lets the next one take over at once. */
  release(): Promise<void>;
}

/**
 * Takes the lead of a sweep. With `standby` it waits for it, and has it within 10 s of the leader's death.
 * @throws DeepDefenseError RUN_IN_USE (another process leads, or `signal` was aborted), CONNECT_FAILED, NATS_UNSUPPORTED
 */
export async function takeLeadership(options: LeadershipOptions, { standby, signal }: TakeOptions): Promise<Leadership> {
  const { link, sweepId } = options;
  // Checked here because the name becomes a key.
  sweepNames(sweepId);
  const kv = await openSharedBucket(link, LEADERS_BUCKET, 'deepdefense leaders of sweeps');
  const key: LeaderKey = { leader: randomUUID(), host: hostname(), processId: process.pid, beats: 0 };
  const watch: Watch = { kv, key, seen: undefined };
  // Nobody could have written the key while the server was away.
  const stopListening = link.onReconnect(() => {
    watch.seen = undefined;
  });
  try {
    return await waitForLead(options, watch, { standby, signal });
  } finally {
    stopListening();
  }
}

/** A process that coordinates a sweep. */
export interface SweepLeader {
  readonly host: string;
  readonly processId: number;
}

/**
 * Who leads now: those of the sweeps whose keys change while it looks, which takes some seconds where there are any.
 * @throws DeepDefenseError CONNECT_FAILED
 */
export async function readLeaders(link: NatsLink, sweeps: readonly string[]): Promise<ReadonlyMap<string, SweepLeader>> {
  const kv = await findSharedBucket(link, LEADERS_BUCKET);
  const leaders = new Map<string, SweepLeader>();
  if (kv === undefined) return leaders;
  const look = () => Promise.all(sweeps.map((sweep) => link.ask("can't read who leads the sweep", () => readLeader(kv, sweep))));
  const before = await look();
  if (before.every((entry) => entry?.key === undefined)) return leaders;
  await sleep(REFRESH_MS + LOOK_MS * 2);
  for (const [i, entry] of (await look()).entries())
    if (entry?.key !== undefined && entry.revision !== before[i]?.revision)
      leaders.set(sweeps[i] as string, { host: entry.key.host, processId: entry.key.processId });
  return leaders;
}

interface Watch {
  readonly kv: KV;
  readonly key: LeaderKey;
  /** What was seen last, and since when without a gap. */
  seen: { readonly revision: number; readonly sinceMs: number } | undefined;
}

async function waitForLead(options: LeadershipOptions, watch: Watch, { standby, signal }: TakeOptions): Promise<Leadership> {
  const { link, sweepId } = options;
  const { kv, key } = watch;
  for (;;) {
    const entry = await link.ask("can't read who leads the sweep", () => readLeader(kv, sweepId), signal);
    const isFree = entry === undefined || entry.key === undefined;
    const nowMs = performance.now();
    const { seen } = watch;
    if (entry?.key?.leader === key.leader) return new KeptLeadership(options, kv, key, entry.revision);
    if (seen !== undefined && entry?.revision !== seen.revision && !isFree && !standby) throw inUse(sweepId, entry?.key);
    const sinceMs = seen !== undefined && entry?.revision === seen.revision ? seen.sinceMs : nowMs;
    watch.seen = { revision: entry?.revision ?? 0, sinceMs };
    if (isFree || nowMs - sinceMs > DEAD_MS) {
      const revision = await tryTake(kv, sweepId, key, entry?.revision ?? 0);
      if (revision !== undefined) return new KeptLeadership(options, kv, key, revision);
      continue;
    }
    if (signal.aborted) throw inUse(sweepId, entry?.key);
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
  }
}

/** @returns undefined when nobody ever led; `key` undefined when the last leader has left */
async function readLeader(kv: KV, sweep: string): Promise<{ readonly key: LeaderKey | undefined; readonly revision: number } | undefined> {
  const entry = await kv.get(sweep);
  if (entry === null) return undefined;
  return { key: entry.operation === 'PUT' ? entry.json<LeaderKey>() : undefined, revision: entry.revision };
}

/** @returns undefined when somebody else was faster, or when it isn't known */
async function tryTake(kv: KV, sweep: string, key: LeaderKey, revision: number): Promise<number | undefined> {
  try {
    return await kv.put(sweep, JSON.stringify(key), { previousSeq: revision });
  } catch (error) {
    if (isConflict(error) || isTransient(error)) return undefined;
    throw error;
  }
}

function inUse(sweepId: string, key: LeaderKey | undefined): DeepDefenseError {
  return new DeepDefenseError('RUN_IN_USE', {
    what: `another process coordinates sweep "${sweepId}"`,
    got: key === undefined ? 'a key that was just taken' : `process ${key.processId} on "${key.host}"`,
    todo: 'wait until it has ended, or start this one as a standby',
    fields: { sweep: sweepId },
  });
}

class KeptLeadership implements Leadership {
  readonly #options: LeadershipOptions;
  readonly #kv: KV;
  #key: LeaderKey;
  #revision: number;
  #lost: DeepDefenseError | undefined;
  #released = false;
  readonly #timer: NodeJS.Timeout;
  /** Writes of the key run one after the other. */
  #last: Promise<void> = Promise.resolve();
  #pending = false;

  constructor(options: LeadershipOptions, kv: KV, key: LeaderKey, revision: number) {
    this.#options = options;
    this.#kv = kv;
    this.#key = key;
    this.#revision = revision;
    this.#timer = setInterval(() => {
      // A server that is away is waited for: nobody else can take over there meanwhile.
      if (!this.#pending) this.#refresh().catch(() => {});
    }, REFRESH_MS);
  }

  async release(): Promise<void> {
    this.#released = true;
    clearInterval(this.#timer);
    await this.#last.catch(() => {});
    if (this.#lost !== undefined) return;
    // Somebody else has taken it, or the server is away and finds out by itself.
    await this.#kv.delete(this.#options.sweepId, { previousSeq: this.#revision }).catch(() => {});
  }

  #refresh(): Promise<void> {
    this.#pending = true;
    this.#last = this.#last
      .catch(() => {})
      .then(() => this.#options.link.attempt(() => this.#write()))
      .finally(() => {
        this.#pending = false;
      });
    return this.#last;
  }

  async #write(): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    const { sweepId, link } = this.#options;
    this.#key = { ...this.#key, beats: this.#key.beats + 1 };
    try {
      this.#revision = await this.#kv.put(sweepId, JSON.stringify(this.#key), { previousSeq: this.#revision });
    } catch (error) {
      if (!isConflict(error)) throw natsError("can't keep the lead of the sweep", link.servers, error);
      const entry = await readLeader(this.#kv, sweepId);
      // An earlier write got through, and its answer didn't.
      if (entry?.key?.leader === this.#key.leader) this.#revision = entry.revision;
      else throw this.#lose(entry?.key);
    }
  }

  #lose(by: LeaderKey | undefined): DeepDefenseError {
    clearInterval(this.#timer);
    const { sweepId, onLost } = this.#options;
    const lost = new DeepDefenseError('LEADER_LOST', {
      what: `this process no longer coordinates sweep "${sweepId}"`,
      expected: `to be heard of at least every ${DEAD_MS} ms`,
      got: by === undefined ? 'a key that was deleted' : `process ${by.processId} on "${by.host}" coordinates it now`,
      todo: 'leave the sweep to it; this process must end',
      fields: { sweep: sweepId },
    });
    this.#lost = lost;
    if (!this.#released) onLost(lost);
    return lost;
  }
}
