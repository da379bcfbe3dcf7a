/**
 * @file The protocol between a coordinator and its workers, without transport: members and their signs of life, leases of the current
 * job, parameter versions, refusals, and the end of the run when nobody is left. Time and links are injected, so a test can run
 * thousands of interleavings a minute. One job at a time; everything happens in the caller's turn of the event loop.
 */
import { type Clock, DeepDefenseError, errorCodeOr, isDeepDefenseError } from '../core/index.ts';
import { coordinatorMessage, type CoordinatorMessage, type Hello, type ShardBlock, type TaskFailure } from '../wire/index.ts';
import type { Answer, Job } from './job.ts';
import { type Member, Membership } from './membership.ts';
import type { ExpiryReason, LeaveReason, PoolObserver } from './pool-observer.ts';
import type { RunningJob, Seat, Task } from './seat.ts';
import { WakeUp } from './wake-up.ts';
import type { WorkerLink, WorkerPoolOptions, WorkerReport } from './worker-link.ts';

/** How often a wait for workers is said again. */
export const WAITING_NOTICE_MS = 10_000;
/** The same job failing on this many workers is the job's fault, not theirs. */
const MAX_TASK_FAILURES = 3;

/** See the file's header. */
export class WorkerPool<Snapshot> {
  readonly membership: Membership;
  readonly #options: WorkerPoolOptions<Snapshot>;
  readonly #clock: Clock;
  readonly #observer: PoolObserver;
  readonly #seats = new Map<number, Seat<Snapshot>>();
  #nextTaskId: number;
  #parameters: { readonly version: number; readonly snapshot: Snapshot } | undefined;
  #running: RunningJob | undefined;
  readonly #wakeUp: WakeUp;
  #everJoined = false;
  #emptySinceMs: number | undefined;
  #noticeAtMs: number | undefined;
  #lastFailure: TaskFailure | undefined;
  #finished = false;

  constructor(options: WorkerPoolOptions<Snapshot>) {
    this.#options = options;
    this.#clock = options.clock;
    this.#observer = options.observer;
    this.#nextTaskId = options.firstTaskId ?? 1;
    this.#wakeUp = new WakeUp(options.clock, () => this.#tick());
    this.membership = new Membership(options.identity);
  }

  /** The job in progress, if any. */
  get runningJob(): Job | undefined {
    return this.#running?.job;
  }

  /** Members by what they do, as the metric deepdefense_workers counts them. */
  counts(): { readonly joining: number; readonly idle: number; readonly busy: number; readonly lost: number } {
    const members = this.membership.all();
    const idle = this.#idle().length;
    return {
      joining: members.filter(({ state, silent }) => state !== 'ready' && !silent).length,
      idle,
      busy: this.membership.ready().length - idle,
      lost: members.filter(({ silent }) => silent).length,
    };
  }

  /** A worker opened a stream. Returns the id to report under. */
  connect(link: WorkerLink<Snapshot>): number {
    const { id } = this.membership.connect(this.#clock.nowMs());
    this.#seats.set(id, { link, tasks: new Map(), version: undefined });
    if (this.#finished)
      this.#drop(id, 'finished', 'the run is over', coordinatorMessage('finish', { state: 'stopped', reason: 'the run is over' }));
    else this.#wakeUp.at(this.#clock.nowMs() + this.#options.leaseMs + 1);
    return id;
  }

  /** A message from a member. Whatever breaks the protocol ends with a refusal of that member, never with an exception. */
  receive(id: number, report: WorkerReport): void {
    const seat = this.#seats.get(id);
    if (seat === undefined) return;
    const returned = this.membership.heard(id, this.#clock.nowMs());
    try {
      switch (report.kind) {
        case 'hello':
          this.#hello(id, report.message, seat);
          break;
        case 'ready':
          this.membership.becomeReady(id, report.message);
          this.#observer.workerReady?.(this.#member(id), report.message);
          break;
        case 'alive':
          if (returned) break;
          return;
        case 'block':
        case 'evaluation':
        case 'initial':
          this.#answer(id, seat, report);
          break;
        case 'failure':
          this.#failure(id, seat, report.message);
          break;
        case 'goodbye':
          this.#drop(id, 'goodbye', report.reason);
          break;
        default:
          report satisfies never;
      }
    } catch (error) {
      this.refuse(id, error);
    }
    this.#turn();
  }

  /** The member's stream is closed. */
  disconnect(id: number, reason: string): void {
    this.#drop(id, 'disconnected', reason);
    this.#turn();
  }

  /** Ends a member with an error that it is told about. */
  refuse(id: number, cause: unknown): void {
    const error = isDeepDefenseError(cause)
      ? cause
      : new DeepDefenseError('INTERNAL', { what: cause instanceof Error ? cause.message : String(cause), cause });
    const member = this.membership.all().find((candidate) => candidate.id === id);
    if (member === undefined) return;
    this.#observer.workerRefused?.(member, error);
    this.#drop(id, 'refused', error.code, coordinatorMessage('refusal', { code: error.code, message: error.message, retry: false }));
    this.#turn();
  }

  /** A new version of the parameters: idle members get it at once, the others before their next task. */
  publish(version: number, values: Float32Array): void {
    this.#parameters = { version, snapshot: this.#options.encodeParameters(version, values) };
    for (const member of this.#idle()) this.#ensureParameters(member.id);
  }

  /**
   * Does a job; resolves when every unit has one valid answer.
   * @throws DeepDefenseError WORKERS_LOST when nobody is left for too long, INTERRUPTED after {@link abandon}, the workers' error when
   * the job fails on several of them.
   */
  run(job: Job): Promise<void> {
    if (this.#running !== undefined) throw new DeepDefenseError('INTERNAL', { what: 'a job was started before the last one had ended' });
    return new Promise((resolve, reject) => {
      this.#running = { job, granted: false, failures: 0, deadlineMs: this.#options.stepDeadlineMs, resolve, reject };
      this.#turn();
    });
  }

  /** Gives up the running job, if any; its promise rejects with INTERRUPTED. */
  abandon(reason: string): void {
    this.#end(new DeepDefenseError('INTERRUPTED', { what: `the work in progress was given up: ${reason}` }));
  }

  /** Tells every member that the run is over and takes no more. */
  finish(state: 'completed' | 'stopped' | 'failed', reason: string): void {
    this.#finished = true;
    this.abandon(reason);
    for (const id of this.#seats.keys()) this.#drop(id, 'finished', reason, coordinatorMessage('finish', { state, reason }));
    this.#wakeUp.close();
  }

  // --- what members say

  #hello(id: number, hello: Hello, seat: Seat<Snapshot>): void {
    const replaced = this.membership.hello(id, hello);
    if (replaced !== undefined) this.#drop(replaced.id, 'disconnected', 'the worker has reconnected');
    this.#everJoined = true;
    seat.link.send(coordinatorMessage('welcome', { ...this.#options.welcome, engineFingerprint: this.membership.engineFingerprint ?? '' }));
    this.#observer.workerJoined?.(this.#member(id), hello);
  }

  #answer(id: number, seat: Seat<Snapshot>, answer: Answer): void {
    const running = this.#running;
    const task = seat.tasks.get(answer.message.taskId);
    if (task === undefined) return this.#refuseAnswer(id, answer, 'the task is not open');
    const { range, epoch } = task.job.locate(answer, task.parts, task.epoch);
    if (task.job !== running?.job) {
      this.#closePart(seat, task, range);
      return this.#refuseAnswer(id, answer, 'its step has been committed');
    }
    const verdict = task.job.leases.judge(range, id, epoch);
    if (verdict === 'valid') {
      if (answer.kind === 'block' && answer.message.metricSums.length !== this.membership.metricNames?.length) {
        throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', { what: 'a block result has the wrong number of metrics' });
      }
      task.job.accept(range, answer, this.#member(id).workerId);
      task.job.leases.settle(range);
      this.#observer.answerAccepted?.(this.#member(id), answer);
    }
    // An answer under an epoch that isn't the task's own is no answer to it: the task stays open.
    if (epoch === task.epoch) this.#closePart(seat, task, range);
    if (verdict === 'duplicate') this.#observer.answerDuplicate?.(this.#member(id));
    if (verdict === 'stale') this.#refuseAnswer(id, answer, 'its lease has been given to another worker');
  }

  #closePart(seat: Seat<Snapshot>, task: Task, { first }: Readonly<ShardBlock>): void {
    task.open.delete(first);
    if (task.open.size === 0) seat.tasks.delete(task.id);
  }

  #refuseAnswer(id: number, answer: Answer, why: string): void {
    const { taskId } = answer.message;
    this.#observer.answerRefused?.(this.#member(id), 'PROTOCOL_STALE_LEASE', why);
    this.#seats.get(id)?.link.send(coordinatorMessage('answerRefused', { taskId, code: 'PROTOCOL_STALE_LEASE', message: why }));
  }

  #failure(id: number, seat: Seat<Snapshot>, failure: TaskFailure): void {
    const task = seat.tasks.get(failure.taskId);
    if (task !== undefined) seat.tasks.delete(task.id);
    // A task that was taken away is acknowledged with a failure: the worker is free again, nothing is wrong with it.
    if (task?.cancelled === true || (task === undefined && failure.taskId !== 0)) return;
    this.#lastFailure = failure;
    const error = new DeepDefenseError(errorCodeOr(failure.code, 'ENGINE_FAILED'), {
      what:
        task === undefined
          ? `worker "${this.#member(id).workerId}" can't start`
          : `worker "${this.#member(id).workerId}" failed to ${task.job.kind}`,
      got: failure.message,
      todo: "see the worker's log",
    });
    this.refuse(id, error);
    const running = this.#running;
    if (running === undefined || task?.job !== running.job) return;
    running.failures += 1;
    if (running.failures >= MAX_TASK_FAILURES) this.#end(error);
  }

  // --- leases

  /** Everything that may follow from a change, in one place: completion, new leases, notices and the next wake-up. */
  #turn(): void {
    if (this.#finished) return;
    const nowMs = this.#clock.nowMs();
    this.#emptySinceMs = this.membership.present().length > 0 ? undefined : (this.#emptySinceMs ?? nowMs);
    const running = this.#running;
    if (running === undefined) return;
    if (running.job.leases.complete) return this.#end(undefined);
    this.#grant(running, nowMs);
    this.#notice(running, nowMs);
    if (this.#everJoined && this.#emptySinceMs !== undefined) this.#wakeUp.at(this.#emptySinceMs + this.#options.workersLostMs);
    const oldestMs = running.job.leases.oldestGrantMs();
    // An overdue lease that nobody can take over is looked at again when a worker becomes idle, not by a timer.
    if (oldestMs !== undefined && oldestMs + running.deadlineMs > nowMs) this.#wakeUp.at(oldestMs + running.deadlineMs);
  }

  #grant(running: RunningJob, nowMs: number): void {
    const { job } = running;
    if (!running.granted && this.membership.ready().length < job.minWorkers) return;
    const idle = this.#idle();
    if (idle.length === 0) return;
    if (job.leases.freeUnits === 0) {
      const overdue = job.leases.heldSince(nowMs - running.deadlineMs);
      for (const holder of overdue) this.#revoke(holder, 'deadline');
      if (overdue.length > 0) running.deadlineMs *= 2;
    }
    const grants = job.leases.grant(
      idle.map(({ id }) => id),
      job.unitsPerWorker,
      nowMs,
    );
    for (const grant of grants) {
      running.granted = true;
      const seat = this.#seats.get(grant.holder);
      if (seat === undefined) continue;
      this.#ensureParameters(grant.holder);
      for (const { taskId, message, parts } of job.plan(grant, () => this.#nextTaskId++)) {
        seat.tasks.set(taskId, {
          id: taskId,
          job,
          epoch: grant.epoch,
          parts,
          open: new Set(parts.map(({ first }) => first)),
          cancelled: false,
        });
        seat.link.send(message);
      }
      this.#observer.leaseGranted?.(this.#member(grant.holder), job, grant);
    }
  }

  /** Takes the leases of a holder away; what it is computing will be refused as stale. */
  #revoke(id: number, reason: ExpiryReason): void {
    const running = this.#running;
    const revocation = running?.job.leases.release(id);
    const seat = this.#seats.get(id);
    for (const task of seat?.tasks.values() ?? []) {
      if (task.cancelled) continue;
      task.cancelled = true;
      seat?.link.send(coordinatorMessage('cancelTask', { taskId: task.id }));
    }
    if (running !== undefined && revocation !== undefined) this.#observer.leaseExpired?.(this.#member(id), running.job, revocation, reason);
  }

  /** Ready members that owe no answer, in order of joining. */
  #idle(): Member[] {
    return this.membership.ready().filter(({ id }) => this.#seats.get(id)?.tasks.size === 0);
  }

  #ensureParameters(id: number): void {
    const seat = this.#seats.get(id);
    if (seat === undefined || this.#parameters === undefined || seat.version === this.#parameters.version) return;
    seat.version = this.#parameters.version;
    seat.link.sendParameters(this.#parameters.snapshot);
  }

  // --- ends

  #end(error: DeepDefenseError | undefined): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#noticeAtMs = undefined;
    if (error === undefined) return running.resolve();
    for (const seat of this.#seats.values()) {
      for (const task of seat.tasks.values()) {
        if (task.cancelled) continue;
        task.cancelled = true;
        seat.link.send(coordinatorMessage('cancelTask', { taskId: task.id }));
      }
    }
    running.reject(error);
  }

  #drop(id: number, reason: LeaveReason, detail: string, lastWord?: CoordinatorMessage): void {
    const seat = this.#seats.get(id);
    if (seat === undefined) return;
    this.#seats.delete(id);
    this.#revoke(id, reason === 'refused' ? 'failed' : 'lost');
    const member = this.membership.leave(id);
    if (lastWord !== undefined) seat.link.send(lastWord);
    seat.link.close();
    if (member !== undefined) this.#observer.workerLeft?.(member, reason, detail);
  }

  #member(id: number): Member {
    const member = this.membership.all().find((candidate) => candidate.id === id);
    if (member === undefined) throw new DeepDefenseError('INTERNAL', { what: `member ${id} is gone` });
    return member;
  }

  // --- time

  /** Says what is missing: at once, then every {@link WAITING_NOTICE_MS}, until work can go on. */
  #notice({ job, granted }: RunningJob, nowMs: number): void {
    const ready = this.membership.ready().length;
    const needed = granted ? 1 : job.minWorkers;
    if (ready >= needed) {
      if (this.#noticeAtMs !== undefined) this.#observer.waitingEnded?.();
      this.#noticeAtMs = undefined;
      return;
    }
    if (this.#noticeAtMs === undefined || nowMs >= this.#noticeAtMs) {
      this.#noticeAtMs = nowMs + WAITING_NOTICE_MS;
      const members = this.membership.all();
      this.#observer.waiting?.({
        job,
        needed,
        ready,
        preparing: members.filter(({ state, silent }) => state === 'preparing' && !silent).length,
        silent: members.filter(({ silent }) => silent).length,
        lastFailure: this.#lastFailure === undefined ? undefined : `${this.#lastFailure.code}: ${this.#lastFailure.message}`,
      });
    }
    this.#wakeUp.at(this.#noticeAtMs);
  }

  #tick(): void {
    const nowMs = this.#clock.nowMs();
    for (const member of this.membership.findSilent(nowMs, this.#options.leaseMs)) {
      this.#observer.workerSilent?.(member);
      this.#revoke(member.id, 'lost');
    }
    for (const { id, silent, lastHeardMs } of this.membership.all()) {
      if (silent && nowMs - lastHeardMs >= Math.max(this.#options.workersLostMs, this.#options.leaseMs * 2))
        this.#drop(id, 'silent', 'not heard for too long');
      else
        this.#wakeUp.at(
          lastHeardMs + (silent ? Math.max(this.#options.workersLostMs, this.#options.leaseMs * 2) : this.#options.leaseMs + 1),
        );
    }
    this.#turn();
    const running = this.#running;
    if (running === undefined || !this.#everJoined || this.#emptySinceMs === undefined) return;
    const emptyMs = nowMs - this.#emptySinceMs;
    if (emptyMs < this.#options.workersLostMs) return;
    this.#end(
      new DeepDefenseError('WORKERS_LOST', {
        what: `no worker has been there for ${emptyMs} ms`,
        expected: `at least one within cluster.workersLostMs = ${this.#options.workersLostMs}`,
        ...(this.#lastFailure === undefined ? {} : { got: `last failure: ${this.#lastFailure.code}: ${this.#lastFailure.message}` }),
        todo: 'start workers and resume the run',
      }),
    );
  }
}
