/**
 * @file All sweeps of some names as one source of tasks: those that begin join within a second, those that are over leave. The worker's
 * time is shared among the tenants equally, and within a tenant by the priorities of its sweeps.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsLink } from '../../journal/index.ts';
import { FairSource } from '../fair-source.ts';
import type { Claim, TaskSource } from '../task-queue.ts';
import { openJetStreamSource } from './jetstream-source.ts';
import { type SweepEntry, SweepRegistry } from './sweep-registry.ts';

/** Sweeps by name. */
export interface SweepPattern {
  /** `*` stands for any characters. */
  readonly pattern: string;
  /** In place of the priorities of the sweeps; > 0. */
  readonly weight: number | undefined;
}

export interface SweepPoolOptions {
  /** The connection; stays open when the pool is closed. */
  readonly link: NatsLink;
  readonly patterns: readonly SweepPattern[];
  /** A sweep joined, or left; `error` says why it can't be served. */
  readonly onChange?: ((sweep: string, change: 'joined' | 'left', error: Error | undefined) => void) | undefined;
}

/** How often a server without any sweep is looked at. */
const LOOK_MS = 1_000;
/** After this a sweep that couldn't be served is tried again, while it is said to run. */
const RETRY_MS = 5_000;
const SHARING = { isEndless: true, asksWhenIdle: true, random: Math.random };

interface Member {
  entry: SweepEntry;
  readonly weight: number | undefined;
  /** Resolves to undefined where the sweep couldn't be opened. */
  source: Promise<TaskSource | undefined>;
}

/** See the file's header. For one worker, which does one task at a time. It has an end only when it is closed or asked for by a signal. */
export class SweepPool implements TaskSource {
  readonly #options: SweepPoolOptions;
  readonly #tenants: FairSource = new FairSource({ sources: [], ...SHARING });
  readonly #byTenant = new Map<string, FairSource>();
  readonly #members = new Map<string, Member>();
  /** Sweeps that are being opened or closed. */
  readonly #changing = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #watching: Promise<() => Promise<void>>;

  constructor(options: SweepPoolOptions) {
    this.#options = options;
    this.#watching = this.#watch();
  }

  /** Sweeps that are served now, by name. */
  get sweeps(): readonly string[] {
    return [...this.#members.keys()].sort();
  }

  claim(worker: string, signal: AbortSignal): Promise<Claim | undefined> {
    return this.#tenants.claim(worker, signal);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const stop = await this.#watching;
    await stop();
    for (const [sweep, member] of this.#members) this.#leave(sweep, member, undefined);
    await Promise.all(this.#changing);
    await this.#tenants.close();
  }

  async #watch(): Promise<() => Promise<void>> {
    while (!this.#closing.signal.aborted) {
      const registry = await SweepRegistry.find(this.#options.link).catch(() => undefined); // The link tells of a server that is away.
      if (registry !== undefined) return registry.watch((sweep, entry) => this.#see(sweep, entry));
      await sleep(LOOK_MS, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
    return async () => {};
  }

  #see(sweep: string, entry: SweepEntry | undefined): void {
    const matching = this.#options.patterns.find(({ pattern }) => matches(pattern, sweep));
    if (matching === undefined || this.#closing.signal.aborted) return;
    const member = this.#members.get(sweep);
    if (entry?.state !== 'running') {
      if (member !== undefined) this.#leave(sweep, member, undefined);
    } else if (member !== undefined) member.entry = entry;
    else this.#join(sweep, entry, matching.weight);
  }

  #join(sweep: string, entry: SweepEntry, weight: number | undefined): void {
    const { link, onChange } = this.#options;
    const opening = openJetStreamSource({ link, sweepId: sweep });
    const member: Member = { entry, weight, source: opening.catch(() => undefined) };
    this.#members.set(sweep, member);
    this.#do(async () => {
      try {
        const source = await opening;
        if (this.#members.get(sweep) !== member) return;
        this.#ofTenant(entry.tenant).add({ name: sweep, source, weight: () => member.weight ?? member.entry.priority });
        onChange?.(sweep, 'joined', undefined);
      } catch (error) {
        this.#failed(sweep, member, error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  #ofTenant(tenant: string): FairSource {
    const known = this.#byTenant.get(tenant);
    if (known !== undefined) return known;
    const made = new FairSource({
      sources: [],
      ...SHARING,
      onEnd: (sweep, error) => {
        const member = this.#members.get(sweep);
        if (member === undefined) return;
        if (error === undefined) this.#leave(sweep, member, undefined);
        else this.#failed(sweep, member, error);
      },
    });
    this.#byTenant.set(tenant, made);
    this.#tenants.add({ name: tenant, source: made, weight: 1 });
    return made;
  }

  #leave(sweep: string, member: Member, error: Error | undefined): void {
    if (this.#members.get(sweep) !== member) return;
    this.#members.delete(sweep);
    this.#byTenant.get(member.entry.tenant)?.remove(sweep);
    this.#do(async () => {
      await (await member.source)?.close();
      this.#options.onChange?.(sweep, 'left', error);
    });
  }

  /** It may be there again later: its entry says that it runs. */
  #failed(sweep: string, member: Member, error: Error): void {
    this.#leave(sweep, member, error);
    void sleep(RETRY_MS, undefined, { signal: this.#closing.signal })
      .then(async () => {
        const registry = await SweepRegistry.find(this.#options.link);
        this.#see(sweep, await registry?.get(sweep));
      })
      .catch(() => {}); // Closed, or the server is away: the watch begins anew when it is back.
  }

  #do(action: () => Promise<void>): void {
    const done = action()
      .catch(() => {}) // A source that can't be closed has lost its connection.
      .finally(() => this.#changing.delete(done));
    this.#changing.add(done);
  }
}

/** True when `pattern`, with `*` for any characters, stands for `name`. */
export function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}
