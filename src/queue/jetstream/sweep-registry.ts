/**
 * @file The sweeps on the servers: one key per sweep, which its coordinator writes. Workers of a pool find their sweeps and the shares of
 * them here, and operators see how they stand. What counts is in the journals; this is what others may know of it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KV, KvEntry, KvWatchEntry } from '@nats-io/kv';
import type { QueuedIterator } from '@nats-io/transport-node';
import { findSharedBucket, type NatsLink, openSharedBucket, SWEEPS_BUCKET } from '../../journal/index.ts';

/** Of sweeps that name no other. */
export const DEFAULT_TENANT = 'default';

export interface SweepEntry {
  readonly sweep: string;
  readonly tenant: string;
  /** Share of the workers' time relative to the other sweeps of the tenant; > 0. */
  readonly priority: number;
  /** The last that its coordinator said; `running` also after its death. */
  readonly state: 'running' | 'paused' | 'completed' | 'stopped' | 'failed';
  /** ISO 8601 in UTC. */
  readonly startedAt: string;
  readonly measurements: number;
  /** Chosen so far, and how many there are to be. */
  readonly candidates: number;
  readonly budget: number;
}

const RETRY_MS = 1_000;

/** See the file's header. */
export class SweepRegistry {
  readonly #link: NatsLink;
  readonly #kv: KV;

  private constructor(link: NatsLink, kv: KV) {
    this.#link = link;
    this.#kv = kv;
  }

  /** For coordinators, which make it. @throws DeepDefenseError SWEEP_OTHER, NATS_UNSUPPORTED, STORAGE_FAILED, CONNECT_FAILED */
  static async open(link: NatsLink): Promise<SweepRegistry> {
    return new SweepRegistry(link, await openSharedBucket(link, SWEEPS_BUCKET, 'deepdefense sweeps'));
  }

  /** @returns undefined when no sweep has been started there yet. @throws DeepDefenseError CONNECT_FAILED */
  static async find(link: NatsLink): Promise<SweepRegistry | undefined> {
    const kv = await findSharedBucket(link, SWEEPS_BUCKET);
    return kv === undefined ? undefined : new SweepRegistry(link, kv);
  }

  async put(entry: SweepEntry): Promise<void> {
    await this.#link.ask(`can't write how "${entry.sweep}" stands`, () => this.#kv.put(entry.sweep, JSON.stringify(entry)));
  }

  async get(sweep: string): Promise<SweepEntry | undefined> {
    return this.#link.ask(`can't read how "${sweep}" stands`, async () => entryOf(await this.#kv.get(sweep)));
  }

  async delete(sweep: string): Promise<void> {
    await this.#link.ask(`can't delete the entry of "${sweep}"`, () => this.#kv.delete(sweep));
  }

  /** All, by name. */
  async list(): Promise<readonly SweepEntry[]> {
    const names = await this.#link.ask("can't list the sweeps", async () => {
      const keys: string[] = [];
      for await (const key of await this.#kv.keys()) keys.push(key);
      return keys.sort();
    });
    const entries = await Promise.all(names.map((name) => this.get(name)));
    return entries.filter((entry) => entry !== undefined);
  }

  /**
   * Tells of every entry, then of each change, from the beginning again after each loss of the connection.
   * @param onEntry `entry` undefined = it was deleted
   * @returns what ends it
   */
  watch(onEntry: (sweep: string, entry: SweepEntry | undefined) => void): () => Promise<void> {
    let isOver = false;
    let watching: QueuedIterator<KvWatchEntry> | undefined;
    const stopListening = this.#link.onReconnect(() => watching?.stop());
    const follow = async (): Promise<void> => {
      while (!isOver && !this.#link.isClosed) {
        try {
          watching = await this.#kv.watch();
          if (isOver) watching.stop();
          for await (const entry of watching) onEntry(entry.key, entryOf(entry));
        } catch {
          // The server is away, which the link tells.
        }
        if (!isOver) await sleep(RETRY_MS);
      }
    };
    const done = follow();
    return async () => {
      isOver = true;
      stopListening();
      watching?.stop();
      await done;
    };
  }
}

function entryOf(entry: KvEntry | null): SweepEntry | undefined {
  return entry?.operation === 'PUT' ? entry.json<SweepEntry>() : undefined;
}
