/**
 * @file How many trials a tenant may have under way, over all its sweeps and all workers. One key says the limit, one who is within it;
 * the latter changes by compare-and-swap, so that it never holds more than the limit. A worker enters after it has claimed its task and
 * before it begins: whoever is in there without holding the claim of its task any more has died, and is removed without any clock.
 */
import type { KV } from '@nats-io/kv';
import { findSharedBucket, isConflict, type NatsLink, openSharedBucket, QUOTAS_BUCKET, sweepNames } from '../../journal/index.ts';
import type { TaskRecord } from './task-record.ts';
import { holds } from './task-record.ts';
import { TaskStore } from './task-store.ts';

/** A trial under way. */
export interface QuotaHolder {
  readonly sweep: string;
  readonly task: string;
  /** Unique name of the claim. */
  readonly claim: string;
}

interface Claims {
  readonly holders: readonly QuotaHolder[];
  /** Sweeps that had something to do and found no room since the last time that somebody left for them. */
  readonly waiting: readonly string[];
}

/** Those who died are looked for so often, at most. */
const SEARCH_MS = 2_000;
const EMPTY: Claims = { holders: [], waiting: [] };

const limitKey = (tenant: string) => `limit.${tenant}`;
const claimsKey = (tenant: string) => `claims.${tenant}`;

/** A tenant's limit and how much of it is in use. */
export interface Quota {
  readonly tenant: string;
  readonly parallel: number;
  readonly used: number;
}

/** For operators and coordinators. @throws DeepDefenseError NATS_UNSUPPORTED, STORAGE_FAILED, CONNECT_FAILED */
export function openQuotas(link: NatsLink): Promise<KV> {
  return openSharedBucket(link, QUOTAS_BUCKET, 'deepdefense quotas of tenants');
}

/** @param parallel trials at a time; undefined = no limit. Trials that are under way while there is no limit aren't counted later */
export async function setQuota(link: NatsLink, tenant: string, parallel: number | undefined): Promise<void> {
  const kv = await openQuotas(link);
  await link.ask(`can't set the quota of "${tenant}"`, async () => {
    if (parallel === undefined) await kv.delete(limitKey(tenant));
    else await kv.put(limitKey(tenant), JSON.stringify({ parallel }));
  });
}

/** All tenants with a limit, by name. @throws DeepDefenseError CONNECT_FAILED */
export async function listQuotas(link: NatsLink): Promise<readonly Quota[]> {
  const kv = await findSharedBucket(link, QUOTAS_BUCKET);
  if (kv === undefined) return [];
  return link.ask("can't list the quotas", async () => {
    const tenants: string[] = [];
    for await (const key of await kv.keys('limit.>')) tenants.push(key.slice(limitKey('').length));
    const quotas = tenants.sort().map(async (tenant) => {
      const [parallel, { claims }] = await Promise.all([readLimit(kv, tenant), readClaims(kv, tenant)]);
      return { tenant, parallel: parallel ?? 0, used: claims.holders.length };
    });
    return Promise.all(quotas);
  });
}

/** The quota as one sweep meets it in one process. */
export class TenantQuota {
  readonly #link: NatsLink;
  readonly #kv: KV;
  readonly #tenant: string;
  readonly #sweep: string;
  #searchedMs = Number.NEGATIVE_INFINITY;
  /** Until then the sweep leaves room to others of its tenant, by performance.now(). */
  #yieldsUntilMs = 0;

  private constructor(link: NatsLink, kv: KV, tenant: string, sweep: string) {
    this.#link = link;
    this.#kv = kv;
    this.#tenant = tenant;
    this.#sweep = sweep;
  }

  /** @returns undefined where there are no quotas at all */
  static async find(link: NatsLink, tenant: string, sweep: string): Promise<TenantQuota | undefined> {
    const kv = await findSharedBucket(link, QUOTAS_BUCKET);
    return kv === undefined ? undefined : new TenantQuota(link, kv, tenant, sweep);
  }

  /**
   * Whether {@link enter} may succeed now.
   * @param isDue tells whether the sweep has something to do; then others that leave make room for it
   */
  async hasRoom(isDue: () => Promise<boolean>): Promise<boolean> {
    return this.#link.ask(`can't read the quota of "${this.#tenant}"`, async () => {
      const limit = await readLimit(this.#kv, this.#tenant);
      if (limit === undefined) return true;
      if (performance.now() < this.#yieldsUntilMs) return false;
      const { claims } = await readClaims(this.#kv, this.#tenant);
      if (claims.holders.length < limit) return true;
      if (await this.#removeDead(claims)) return true;
      if (!claims.waiting.includes(this.#sweep) && (await isDue()))
        await this.#change((now) =>
          now.waiting.includes(this.#sweep) || now.holders.length < limit ? now : { ...now, waiting: [...now.waiting, this.#sweep] },
        );
      return false;
    });
  }

  /** @returns false when there is no room. The claim must be held. */
  async enter(task: string, claim: string): Promise<boolean> {
    return this.#link.ask(`can't use the quota of "${this.#tenant}"`, async () => {
      let isIn = true;
      const limit = await readLimit(this.#kv, this.#tenant);
      if (limit === undefined) return true;
      await this.#change((now) => {
        isIn = now.holders.some((each) => each.claim === claim);
        if (isIn || now.holders.length >= limit) return now;
        isIn = true;
        return {
          holders: [...now.holders, { sweep: this.#sweep, task, claim }],
          waiting: now.waiting.filter((sweep) => sweep !== this.#sweep),
        };
      });
      return isIn;
    });
  }

  /**
   * Makes room. When other sweeps of the tenant wait for it, this one doesn't take it back at once.
   * @param yieldMs how long it leaves the room to them
   */
  async leave(claim: string, yieldMs: number): Promise<void> {
    await this.#link.ask(`can't use the quota of "${this.#tenant}"`, async () => {
      let others: readonly string[] = [];
      await this.#change((now) => {
        if (!now.holders.some((each) => each.claim === claim)) return now;
        others = now.waiting.filter((sweep) => sweep !== this.#sweep);
        // Who still waits says so again.
        return { holders: now.holders.filter((each) => each.claim !== claim), waiting: [] };
      });
      if (others.length > 0) this.#yieldsUntilMs = performance.now() + yieldMs;
    });
  }

  /** Removes those who don't hold the claims of their tasks any more. @returns true when there were some */
  async #removeDead({ holders }: Claims): Promise<boolean> {
    if (performance.now() - this.#searchedMs < SEARCH_MS) return false;
    this.#searchedMs = performance.now();
    // A sweep that this worker may not read is left to others.
    const alive = await Promise.all(holders.map((holder) => this.#isAlive(holder).catch(() => true)));
    const dead = new Set(holders.filter((_, i) => alive[i] === false).map(({ claim }) => claim));
    if (dead.size === 0) return false;
    await this.#change((now) => ({ ...now, holders: now.holders.filter(({ claim }) => !dead.has(claim)) }));
    return true;
  }

  async #isAlive({ sweep, task, claim }: QuotaHolder): Promise<boolean> {
    const bucket = await findSharedBucket(this.#link, sweepNames(sweep).bucket);
    if (bucket === undefined) return false;
    const record: TaskRecord | undefined = (await new TaskStore(this.#link, bucket).read(task))?.record;
    return record !== undefined && holds(record, claim);
  }

  /** Changes the key by compare-and-swap; `decide` may be called several times. */
  async #change(decide: (claims: Claims) => Claims): Promise<void> {
    for (;;) {
      const { claims, revision } = await readClaims(this.#kv, this.#tenant);
      const decided = decide(claims);
      if (decided === claims) return;
      try {
        await this.#kv.put(claimsKey(this.#tenant), JSON.stringify(decided), { previousSeq: revision });
        return;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
  }
}

async function readLimit(kv: KV, tenant: string): Promise<number | undefined> {
  const entry = await kv.get(limitKey(tenant));
  return entry?.operation === 'PUT' ? entry.json<{ readonly parallel: number }>().parallel : undefined;
}

async function readClaims(kv: KV, tenant: string): Promise<{ readonly claims: Claims; readonly revision: number }> {
  const entry = await kv.get(claimsKey(tenant));
  return { claims: entry?.operation === 'PUT' ? entry.json<Claims>() : EMPTY, revision: entry?.revision ?? 0 };
}
