/**
 * @file Who gets which lease: free units go to idle workers, overdue ones are taken back, late ones are leased a second time. Part of
 * the worker pool, which says when.
 */
import { DeepDefenseError } from '../core/index.ts';
import { coordinatorMessage, type ShardBlock } from '../wire/index.ts';
import type { Job } from './job.ts';
import type { Grant } from './leases.ts';
import type { Member } from './membership.ts';
import type { ExpiryReason, QuarantineReason } from './pool-observer.ts';
import type { PoolParts, RunningJob, Seat, Task } from './seat.ts';

export interface LeaseGrantsOptions<Snapshot> extends PoolParts<Snapshot> {
  /** At most so many workers hold leases at a time. */
  readonly maxWorkers: number;
  readonly firstTaskId: number;
}

/** A part of a late task that may be leased to a second worker. */
interface Late {
  readonly part: ShardBlock;
  /** When its task becomes late. */
  readonly lateAtMs: number;
}

/** See the file's header. */
export class LeaseGrants<Snapshot> {
  readonly #options: LeaseGrantsOptions<Snapshot>;
  #nextTaskId: number;
  #parameters: { readonly version: number; readonly snapshot: Snapshot } | undefined;

  constructor(options: LeaseGrantsOptions<Snapshot>) {
    this.#options = options;
    this.#nextTaskId = options.firstTaskId;
  }

  /** Ready members that owe no answer, in order of joining. */
  idle(): Member[] {
    const { membership, seats } = this.#options;
    return membership.ready().filter(({ id }) => seats.get(id)?.tasks.size === 0);
  }

  /**
   * Idle members that may take leases, in order of joining. The others are quarantined while somebody else is ready, or spares: with
   * them more than `maxWorkers` would hold leases.
   */
  takers(): Member[] {
    const { seats, maxWorkers } = this.#options;
    const holders = [...seats.values()].filter(({ tasks }) => [...tasks.values()].some(({ cancelled }) => !cancelled)).length;
    return this.#candidates().slice(0, Math.max(0, maxWorkers - holders));
  }

  /** A new version of the parameters: who waits for work gets it at once, the others before their next task. */
  publish(version: number, snapshot: Snapshot): void {
    this.#parameters = { version, snapshot };
    for (const { id } of this.takers()) this.#ensureParameters(id);
  }

  /** Leases what can be leased now. */
  grant(running: RunningJob): void {
    const { membership, clock } = this.#options;
    const { job } = running;
    if (!running.granted && membership.ready().length < job.minWorkers) return;
    if (this.#candidates().length === 0) return;
    const nowMs = clock.nowMs();
    if (job.leases.freeUnits === 0) this.#revokeOverdue(running, nowMs);
    // Only now: a holder that is told to stop makes room for a spare.
    const takers = this.takers();
    const grants = job.leases.grant(
      takers.map(({ id }) => id),
      job.unitsPerWorker,
      nowMs,
    );
    for (const grant of grants) this.#hand(running, grant, nowMs);
    if (job.leases.freeUnits > 0) return;
    const served = new Set(grants.map(({ holder }) => holder));
    for (const { id } of takers) {
      if (served.has(id)) continue;
      const late = this.#mostLate(running);
      if (late === undefined || late.lateAtMs > nowMs) return;
      this.#hand(running, job.leases.speculate(id, late.part, nowMs), nowMs);
    }
  }

  /** When the passing of time alone allows another grant; undefined when only an event can. */
  nextGrantMs(running: RunningJob): number | undefined {
    const { membership, quarantine, clock } = this.#options;
    const nowMs = clock.nowMs();
    const oldestMs = running.job.leases.oldestGrantMs();
    const times = membership.ready().map(({ workerId }) => quarantine.untilMs(workerId, nowMs));
    if (oldestMs !== undefined) times.push(oldestMs + running.deadlineMs);
    if (this.takers().length > 0) times.push(this.#mostLate(running)?.lateAtMs);
    // What is due already waits for an idle worker, not for a timer.
    const ahead = times.filter((timeMs) => timeMs !== undefined && timeMs > nowMs) as number[];
    return ahead.length === 0 ? undefined : Math.min(...ahead);
  }

  /**
   * Takes the leases of a holder away; what it is computing will be refused as stale.
   * @param atFault the holder is quarantined
   */
  revoke(id: number, running: RunningJob | undefined, reason: ExpiryReason, atFault = reason !== 'lost'): void {
    const { seats, observer, clock } = this.#options;
    const revocation = running?.job.leases.release(id);
    const seat = seats.get(id);
    if (seat !== undefined) for (const task of seat.tasks.values()) cancel(seat, task);
    if (running === undefined || revocation === undefined) return;
    const member = this.#options.membership.get(id);
    observer.leaseExpired?.(member, running.job, revocation, reason);
    if (atFault && reason !== 'lost') this.isolate(member, reason, clock.nowMs());
  }

  /** The member gets no new lease for a while. */
  isolate(member: Member, reason: QuarantineReason, nowMs: number): void {
    const { quarantine, observer } = this.#options;
    observer.workerQuarantined?.(member, quarantine.incident(member.workerId, nowMs), reason);
  }

  /** Ends the tasks of these members of which nothing is left to do, as others were faster. */
  cancelSuperseded(job: Job, holders: readonly number[]): void {
    for (const id of holders) {
      const seat = this.#options.seats.get(id);
      for (const task of seat?.tasks.values() ?? []) {
        const open = task.parts.filter(({ first }) => task.open.has(first));
        if (seat !== undefined && task.job === job && open.every((part) => job.leases.settled(part))) cancel(seat, task);
      }
    }
  }

  /** Tells everybody to stop. */
  cancelAll(): void {
    for (const seat of this.#options.seats.values()) for (const task of seat.tasks.values()) cancel(seat, task);
  }

  /** Takes back what is out for longer than the deadline; only holders that others outpace are quarantined. */
  #revokeOverdue(running: RunningJob, nowMs: number): void {
    const { job, deadlineMs } = running;
    const overdue = job.leases.heldSince(nowMs - deadlineMs);
    if (overdue.length === 0) return;
    const slow = overdue.filter((holder) => this.#isOutpaced(holder, running, nowMs));
    for (const holder of overdue) this.revoke(holder, running, 'deadline', slow.includes(holder));
    running.deadlineMs *= 2;
    if (slow.length < overdue.length) this.#options.observer.deadlineTooShort?.(job, deadlineMs);
  }

  /** True when others have answered in this job and the holder hasn't, or a task of it is late at the pace of all. */
  #isOutpaced(holder: number, { job, pace, answered }: RunningJob, nowMs: number): boolean {
    if (answered.size > 0 && !answered.has(holder)) return true;
    const tasks = [...(this.#options.seats.get(holder)?.tasks.values() ?? [])];
    return tasks.some((task) => {
      const afterMs = pace.lateAfterMs(task.units);
      return task.job === job && !task.cancelled && afterMs !== undefined && nowMs - task.grantedAtMs >= afterMs;
    });
  }

  /** Idle members that aren't quarantined; quarantined ones where nobody else is ready. */
  #candidates(): Member[] {
    const { membership, quarantine, clock } = this.#options;
    const nowMs = clock.nowMs();
    const trusted = ({ workerId }: Member) => quarantine.untilMs(workerId, nowMs) === undefined;
    const choice = membership.ready().some(trusted);
    return this.idle().filter((member) => !choice || trusted(member));
  }

  #hand(running: RunningJob, grant: Grant, nowMs: number): void {
    const { seats, observer } = this.#options;
    const { job } = running;
    const seat = seats.get(grant.holder);
    if (seat === undefined) throw new DeepDefenseError('INTERNAL', { what: `member ${grant.holder} has a lease and no seat` });
    running.granted = true;
    this.#ensureParameters(grant.holder);
    const units = grant.ranges.reduce((sum, { count }) => sum + count, 0);
    for (const { taskId, message, parts } of job.plan(grant, () => this.#nextTaskId++)) {
      seat.tasks.set(taskId, {
        id: taskId,
        job,
        epoch: grant.epoch,
        parts,
        units,
        grantedAtMs: nowMs,
        answeredAtMs: nowMs,
        open: new Set(parts.map(({ first }) => first)),
        cancelled: false,
      });
      seat.link.send(message);
    }
    observer.leaseGranted?.(this.#options.membership.get(grant.holder), job, grant);
  }

  #ensureParameters(id: number): void {
    const seat = this.#options.seats.get(id);
    if (seat === undefined || this.#parameters === undefined || seat.version === this.#parameters.version) return;
    seat.version = this.#parameters.version;
    seat.link.sendParameters(this.#parameters.snapshot);
  }

  /**
   * The part to compute a second time: of the task that became late first, the last part, as its worker does them in order and the
   * two meet in the middle.
   */
  #mostLate({ job, pace }: RunningJob): Late | undefined {
    let mostLate: Late | undefined;
    for (const { tasks } of this.#options.seats.values()) {
      for (const task of tasks.values()) {
        const afterMs = pace.lateAfterMs(task.units);
        if (task.job !== job || task.cancelled || afterMs === undefined) continue;
        const lateAtMs = task.grantedAtMs + afterMs;
        if (mostLate !== undefined && mostLate.lateAtMs <= lateAtMs) continue;
        const part = task.parts.findLast((candidate) => task.open.has(candidate.first) && job.leases.canSpeculate(candidate));
        if (part !== undefined) mostLate = { part, lateAtMs };
      }
    }
    return mostLate;
  }
}

function cancel<Snapshot>({ link }: Seat<Snapshot>, task: Task): void {
  if (task.cancelled) return;
  task.cancelled = true;
  link.send(coordinatorMessage('cancelTask', { taskId: task.id }));
}
