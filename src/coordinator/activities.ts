/**
 * @file What each worker does at a moment, for the account of its time (goodput.ts): it follows from its state, its tasks and the pool's
 * job. Part of the worker pool.
 */
import type { Activity, Goodput } from './goodput.ts';
import type { LeaseGrants } from './lease-grants.ts';
import type { Member } from './membership.ts';
import type { PoolParts, RunningJob } from './seat.ts';

/** See the file's header. */
export class Activities<Snapshot> {
  readonly #parts: PoolParts<Snapshot>;
  readonly #grants: LeaseGrants<Snapshot>;
  readonly #goodput: Goodput;
  /** True while a checkpoint is written. */
  isCheckpointing = false;

  constructor(parts: PoolParts<Snapshot>, grants: LeaseGrants<Snapshot>, goodput: Goodput) {
    this.#parts = parts;
    this.#grants = grants;
    this.#goodput = goodput;
  }

  /** Tells {@link Goodput} what every member does now. */
  account(running: RunningJob | undefined): void {
    const { membership, clock } = this.#parts;
    const nowMs = clock.nowMs();
    const takers = new Set(this.#grants.takers());
    for (const member of membership.all()) {
      if (member.silent || member.state === 'connected') this.#goodput.leave(member.id, nowMs);
      else this.#goodput.turn(member.id, this.#of(member, takers.has(member), running), nowMs);
    }
  }

  /** Tells what one member does, as if it could take a lease: to find out would take a look at all. */
  accountFor(id: number, running: RunningJob | undefined): void {
    const { membership, clock } = this.#parts;
    this.#goodput.turn(id, this.#of(membership.get(id), true, running), clock.nowMs());
  }

  #of({ id, state }: Member, mayTakeLeases: boolean, running: RunningJob | undefined): Activity {
    if (state === 'preparing' || running?.job.kind === 'initialise') return 'preparing';
    const tasks = [...(this.#parts.seats.get(id)?.tasks.values() ?? [])];
    if (tasks.length > 0) {
      // A task that was cancelled is still computed.
      if (tasks.every(({ cancelled }) => cancelled)) return 'recomputed';
      return running?.job.kind === 'evaluate' ? 'evaluating' : 'training';
    }
    if (!mayTakeLeases) return 'idle';
    if (running === undefined) return this.isCheckpointing ? 'checkpointing' : 'coordinator';
    if (running.job.kind === 'evaluate') return 'evaluation';
    return running.granted ? 'stragglers' : 'idle';
  }
}
