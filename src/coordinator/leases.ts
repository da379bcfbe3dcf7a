/**
 * @file Leases on the units of one job: shards of a training step, or batches of an evaluation. A unit is free, leased or done. A
 * leased unit has one holder, or two where a straggler's units are computed a second time (a speculative lease). Every grant has a
 * higher epoch than the one before, so an answer that was given under an older lease is recognised as stale. No clock, no network:
 * times come in as arguments.
 */
import { DeepDefenseError } from '../core/index.ts';
import type { ShardBlock } from '../wire/index.ts';

/** What a holder got in one grant. */
export interface Grant {
  readonly holder: number;
  /** Higher than that of every earlier grant of this table; the first is 1. */
  readonly epoch: number;
  /** Units of the grant, ascending: maximal contiguous ranges, or for a speculative lease the one range that was asked for. */
  readonly ranges: readonly ShardBlock[];
  /** Somebody else holds the same units. */
  readonly speculative?: true;
}

/** What was taken away from a holder. */
export interface Revocation {
  readonly epoch: number;
  readonly ranges: readonly ShardBlock[];
}

/**
 * What an answer is worth: `valid` = every unit is leased to this holder under this epoch; `duplicate` = every unit was settled by
 * this holder under this epoch; `superseded` = every unit was settled by the other holder of a unit that both had; `stale` = anything
 * else.
 */
export type Verdict = 'valid' | 'duplicate' | 'superseded' | 'stale';

interface Lease {
  readonly holder: number;
  readonly epoch: number;
  readonly grantedAtMs: number;
}

interface Unit {
  /** At most {@link MAX_HOLDERS}, oldest first; those of a done unit stay, to judge late answers. */
  leases: Lease[];
  /** The lease whose answer was counted; undefined until the unit is done. */
  settledBy: Lease | undefined;
}

/** A third computation of the same unit would rarely be the first to end, and costs as much. */
const MAX_HOLDERS = 2;

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
    this.#units = Array.from({ length: units }, () => ({ leases: [], settledBy: undefined }));
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
    const free = this.#units.flatMap((unit, index) => (isFree(unit) ? [index] : []));
    const grants: Grant[] = [];
    this.#epoch += 1;
    for (const [position, holder] of holders.entries()) {
      const taken =
        unitsPerHolder === 'share'
          ? free.slice(Math.floor((position * free.length) / holders.length), Math.floor(((position + 1) * free.length) / holders.length))
          : free.slice(position * unitsPerHolder, (position + 1) * unitsPerHolder);
      if (taken.length === 0) continue;
      const lease = { holder, epoch: this.#epoch, grantedAtMs: nowMs };
      for (const index of taken) this.#units[index] = { leases: [lease], settledBy: undefined };
      this.#free -= taken.length;
      grants.push({ holder, epoch: this.#epoch, ranges: toRanges(taken) });
    }
    return grants;
  }

  /** True when every unit of the range is leased to one holder, so that another may compute it as well. */
  canSpeculate(range: Readonly<ShardBlock>): boolean {
    const units = this.#slice(range);
    return units.every((unit) => isLeased(unit) && unit.leases.length < MAX_HOLDERS);
  }

  /**
   * Leases a range to a second holder. It must be a whole part of the first holder's task: parts of two holders either are equal or
   * have no unit in common, and so each answer counts as a whole or not at all.
   * @throws DeepDefenseError INTERNAL where {@link canSpeculate} is false.
   */
  speculate(holder: number, range: Readonly<ShardBlock>, nowMs: number): Grant {
    if (!this.canSpeculate(range)) {
      throw new DeepDefenseError('INTERNAL', {
        what: `units [${range.first}, ${range.first + range.count}) can't be leased a second time`,
      });
    }
    this.#epoch += 1;
    const lease = { holder, epoch: this.#epoch, grantedAtMs: nowMs };
    for (const unit of this.#slice(range)) unit.leases.push(lease);
    return { holder, epoch: this.#epoch, ranges: [{ first: range.first, count: range.count }], speculative: true };
  }

  /** Judges an answer for a range that lies within the table; changes nothing. */
  judge(range: Readonly<ShardBlock>, holder: number, epoch: number): Verdict {
    const units = this.#slice(range);
    if (units.length !== range.count || range.count < 1) return 'stale';
    const owned = (lease: Lease) => lease.holder === holder && lease.epoch === epoch;
    if (!units.every(({ leases }) => leases.some(owned))) return 'stale';
    const settlers = units.flatMap(({ settledBy }) => settledBy ?? []);
    if (settlers.length === 0) return 'valid';
    if (settlers.length < units.length) return 'stale';
    if (settlers.every(owned)) return 'duplicate';
    return settlers.some(owned) ? 'stale' : 'superseded';
  }

  /**
   * Marks the units of a valid answer as done.
   * @returns the others who hold a lease on them, whose answers are superseded from now on.
   * @throws DeepDefenseError INTERNAL when the holder has no lease on one of them: judge first.
   */
  settle(range: Readonly<ShardBlock>, holder: number): number[] {
    const rivals = new Set<number>();
    for (const [offset, unit] of this.#slice(range).entries()) {
      const lease = unit.leases.find((candidate) => candidate.holder === holder);
      if (lease === undefined || !isLeased(unit))
        throw new DeepDefenseError('INTERNAL', { what: `unit ${range.first + offset} was settled without a lease` });
      unit.settledBy = lease;
      this.#done += 1;
      for (const other of unit.leases) if (other.holder !== holder) rivals.add(other.holder);
    }
    return [...rivals];
  }

  /** True when every unit of the range is done. */
  settled(range: Readonly<ShardBlock>): boolean {
    return this.#slice(range).every(({ settledBy }) => settledBy !== undefined);
  }

  /** Takes what the holder has on lease; its answers are stale from now on. Undefined when it had nothing. */
  release(holder: number): Revocation | undefined {
    const taken: number[] = [];
    let epoch = 0;
    for (const [index, unit] of this.#units.entries()) {
      const lease = isLeased(unit) ? unit.leases.find((candidate) => candidate.holder === holder) : undefined;
      if (lease === undefined) continue;
      unit.leases = unit.leases.filter((other) => other !== lease);
      if (isFree(unit)) this.#free += 1;
      epoch = lease.epoch;
      taken.push(index);
    }
    return taken.length === 0 ? undefined : { epoch, ranges: toRanges(taken) };
  }

  /** Holders with a lease granted at or before the given time, ascending. */
  heldSince(grantedAtMs: number): number[] {
    const leases = this.#leasesOut().filter((lease) => lease.grantedAtMs <= grantedAtMs);
    return [...new Set(leases.map(({ holder }) => holder))].sort((a, b) => a - b);
  }

  /** Time of the oldest grant that is still out; undefined without leases. */
  oldestGrantMs(): number | undefined {
    const times = this.#leasesOut().map(({ grantedAtMs }) => grantedAtMs);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  #leasesOut(): Lease[] {
    return this.#units.flatMap((unit) => (isLeased(unit) ? unit.leases : []));
  }

  #slice({ first, count }: Readonly<ShardBlock>): Unit[] {
    return this.#units.slice(first, first + count);
  }
}

function isFree({ leases, settledBy }: Unit): boolean {
  return leases.length === 0 && settledBy === undefined;
}

function isLeased({ leases, settledBy }: Unit): boolean {
  return leases.length > 0 && settledBy === undefined;
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
