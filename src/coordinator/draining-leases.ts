/** @file Leases of a job that can be ended early without losing what is being computed. */
import { type Grant, LeaseTable } from './leases.ts';
import type { ShardBlock } from '../wire/index.ts';

/** From {@link drain} on nothing is leased any more, and the table is complete once nobody holds a lease. */
export class DrainingLeases extends LeaseTable {
  #draining = false;

  drain(): void {
    this.#draining = true;
  }

  override get complete(): boolean {
    return super.complete || (this.#draining && this.oldestGrantMs() === undefined);
  }

  override grant(holders: readonly number[], unitsPerHolder: number | 'share', nowMs: number): Grant[] {
    return this.#draining ? [] : super.grant(holders, unitsPerHolder, nowMs);
  }

  override canSpeculate(range: Readonly<ShardBlock>): boolean {
    return !this.#draining && super.canSpeculate(range);
  }
}
