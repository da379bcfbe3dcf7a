/**
 * @file Leases on the units of one job: shards of a training step, or batches of an evaluation. A unit is free, leased or done.
 * Every grant has a higher epoch than the one before, so an answer that was given under an older lease is recognised as stale.
 * No clock, no network: times come in as arguments.
 */
import { DeepDefenseError } from '../core/index.ts';
import type { ShardBlock } from '../wire/index.ts';

/** What a holder got in one grant. */
export interface Grant {
  readonly holder: number;
  /** Higher than that of every earlier grant of this table; the first is 1. */
  readonly epoch: number;
  /** Units of the grant as maximal contiguous ranges, ascending. */
  readonly ranges: readonly ShardBlock[];
}

/** What was taken away from a holder. */
export interface Revocation {
  readonly epoch: number;
  readonly ranges: readonly ShardBlock[];
}

/**
 * What an answer is worth: `valid` = every unit is leased to this holder under this epoch; `duplicate` = every unit was settled by
 * this holder under this epoch; `stale` = anything else.
 */
export type Verdict = 'valid' | 'duplicate' | 'stale';

type UnitState = 'free' | 'leased' | 'done';

interface Unit {
  state: UnitState;
  holder: number;
  epoch: number;
  grantedAtMs: number;
}

const NOBODY = -1;

/** Who may compute what, and under which epoch. */
export class LeaseTable {
  readonly #units: Unit[];
  #epoch = 0;
  #free: number;
  #done = 0;

  /** @param units number of units, >= 1 */
  constructor(units: number) {
    if (!Number.isInteger(units) || units < 1) {
      throw new DeepDefenseError('INTERNAL', { what: 'a lease table needs at least one unit', got: String(units) });
    }
    this.#units = Array.from({ length: units }, () => ({ state: 'free', holder: NOBODY, epoch: 0, grantedAtMs: 0 }));
    this.#free = units;
  }

  get units(): number {
    return this.#units.length;
  }

  get freeUnits(): number {
    return this.#free;
  }

  get doneUnits(): number {
    return this.#done;
  }

  get complete(): boolean {
    return this.#done === this.#units.length;
  }

  /**
   * Leases free units to the holders in order, as contiguous as the free units are: `share` cuts all of them into equal parts
   * (sizes differ by at most one), a number gives each holder at most that many. Holders for whom nothing is left get no grant.
   */
  grant(holders: readonly number[], unitsPerHolder: number | 'share', nowMs: number): Grant[] {
    if (holders.length === 0 || this.#free === 0) return [];
    const free = this.#units.flatMap(({ state }, index) => (state === 'free' ? [index] : []));
    const grants: Grant[] = [];
    this.#epoch += 1;
    for (const [position, holder] of holders.entries()) {
      const taken =
        unitsPerHolder === 'share'
          ? free.slice(Math.floor((position * free.length) / holders.length), Math.floor(((position + 1) * free.length) / holders.length))
          : free.slice(position * unitsPerHolder, (position + 1) * unitsPerHolder);
      if (taken.length === 0) continue;
      for (const index of taken) this.#units[index] = { state: 'leased', holder, epoch: this.#epoch, grantedAtMs: nowMs };
      this.#free -= taken.length;
      grants.push({ holder, epoch: this.#epoch, ranges: toRanges(taken) });
    }
    return grants;
  }

  /** Judges an answer for a range that lies within the table; changes nothing. */
  judge({ first, count }: Readonly<ShardBlock>, holder: number, epoch: number): Verdict {
    const units = this.#units.slice(first, first + count);
    if (units.length !== count || count < 1) return 'stale';
    if (!units.every((unit) => unit.holder === holder && unit.epoch === epoch)) return 'stale';
    if (units.every(({ state }) => state === 'leased')) return 'valid';
    return units.every(({ state }) => state === 'done') ? 'duplicate' : 'stale';
  }

  /**
   * Marks the units of a valid answer as done.
   * @throws DeepDefenseError INTERNAL when one of them isn't leased: judge first.
   */
  settle({ first, count }: Readonly<ShardBlock>): void {
    for (let index = first; index < first + count; index++) {
      const unit = this.#units[index];
      if (unit?.state !== 'leased') throw new DeepDefenseError('INTERNAL', { what: `unit ${index} was settled without a lease` });
      unit.state = 'done';
      this.#done += 1;
    }
  }

  /** Frees what the holder has on lease; its answers are stale from now on. Undefined when it had nothing. */
  release(holder: number): Revocation | undefined {
    const freed: number[] = [];
    let epoch = 0;
    for (const [index, unit] of this.#units.entries()) {
      if (unit.state !== 'leased' || unit.holder !== holder) continue;
      unit.state = 'free';
      unit.holder = NOBODY;
      epoch = unit.epoch;
      freed.push(index);
    }
    this.#free += freed.length;
    return freed.length === 0 ? undefined : { epoch, ranges: toRanges(freed) };
  }

  /** Holders with a lease granted at or before the given time, ascending. */
  heldSince(grantedAtMs: number): number[] {
    const holders = this.#units.filter((unit) => unit.state === 'leased' && unit.grantedAtMs <= grantedAtMs).map(({ holder }) => holder);
    return [...new Set(holders)].sort((a, b) => a - b);
  }

  /** Time of the oldest grant that is still out; undefined without leases. */
  oldestGrantMs(): number | undefined {
    let oldest: number | undefined;
    for (const { state, grantedAtMs } of this.#units)
      if (state === 'leased' && grantedAtMs < (oldest ?? Number.POSITIVE_INFINITY)) oldest = grantedAtMs;
    return oldest;
  }
}

/** Ascending indices as maximal contiguous ranges. */
function toRanges(indices: readonly number[]): ShardBlock[] {
  const ranges: ShardBlock[] = [];
  for (const index of indices) {
    const last = ranges.at(-1);
    if (last !== undefined && last.first + last.count === index) last.count += 1;
    else ranges.push({ first: index, count: 1 });
  }
  return ranges;
}
