/**
 * @file The protocol between a coordinator and its workers, without transport: members and their signs of life, leases of the current
 * job, parameter versions, refusals, and the end of the run when nobody is left. Time and links are injected, so a test can run
 * thousands of interleavings a minute. One job at a time; everything happens in the caller's turn of the event loop.
 */
import { type Clock, DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import type { GoodputSoFar } from '../journal/index.ts';
import { coordinatorMessage, type CoordinatorMessage, type Hello, type TaskFailure } from '../wire/index.ts';
import { Activities } from './activities.ts';
import { Answers } from './answers.ts';
import { AwakeWatch } from './awake-watch.ts';
import { Goodput, type GoodputReport, type WorkerSeconds } from './goodput.ts';
import { goodputSoFar } from './goodput-history.ts';
import { failedWorker, type Job } from './job.ts';
import { LeaseGrants } from './lease-grants.ts';
import { Membership } from './membership.ts';
import { Pace } from './pace.ts';
import type { LeaveReason, PoolObserver } from './pool-observer.ts';
import { Quarantine } from './quarantine.ts';
import type { PoolParts, RunningJob, Seat } from './seat.ts';
import { Shortage } from './shortage.ts';
import { WakeUp } from './wake-up.ts';
import type { WorkerLink, WorkerPoolOptions, WorkerReport } from './worker-link.ts';

/** So many members are looked at after each of their answers; with more, once per {@link TURN_INTERVAL_MS}. */
const FEW_MEMBERS = 32;
const TURN_INTERVAL_MS = 25;
/** The same job failing on this many workers is the job's fault, not theirs. */
const MAX_TASK_FAILURES = 3;

/** How members are let go. */
interface Farewell {
  readonly reason: LeaveReason;
  readonly word: CoordinatorMessage | undefined;
}

/** See the file's header. */
export class WorkerPool<Snapshot> {
  readonly membership: Membership;
  readonly #options: WorkerPoolOptions<Snapshot>;
  readonly #clock: Clock;
  readonly #observer: PoolObserver;
  readonly #seats = new Map<number, Seat<Snapshot>>();
  readonly #quarantine = new Quarantine();
  readonly #grants: LeaseGrants<Snapshot>;
  /** Of training steps, from step to step. */
  readonly #trainingPace = new Pace();
  readonly #goodput: Goodput;
  readonly #activities: Activities<Snapshot>;
  readonly #answers: Answers<Snapshot>;
  readonly #shortage: Shortage;
  readonly #awake: AwakeWatch;
  readonly #wakeUp: WakeUp;
  #running: RunningJob | undefined;
  /** What comers and goers hear once the pool is closed. */
  #farewell: Farewell | undefined;

  constructor(options: WorkerPoolOptions<Snapshot>) {
    this.#options = options;
    this.#clock = options.clock;
    this.#observer = options.observer;
    this.membership = new Membership(options.identity);
    const parts: PoolParts<Snapshot> = {
      clock: options.clock,
      membership: this.membership,
      seats: this.#seats,
      observer: options.observer,
      quarantine: this.#quarantine,
    };
    this.#grants = new LeaseGrants({
      ...parts,
      maxWorkers: options.maxWorkers ?? Number.POSITIVE_INFINITY,
      firstTaskId: options.firstTaskId ?? 1,
    });
    this.#goodput = new Goodput(options.earlierGoodput);
    this.#activities = new Activities(parts, this.#grants, this.#goodput);
    this.#answers = new Answers(parts, this.#grants, this.#goodput);
    this.#shortage = new Shortage(this.membership, options.observer, options.workersLostMs);
    this.#awake = new AwakeWatch(options.clock, (ms, nowMs) => this.membership.excuse(ms, nowMs));
    this.#wakeUp = new WakeUp(options.clock, () => this.#tick());
  }

  /** The job in progress, if any. */
  get runningJob(): Job | undefined {
    return this.#running?.job;
  }

  /** Members by what they do, as the metric deepdefense_workers counts them. */
  counts(): { readonly joining: number; readonly idle: number; readonly busy: number; readonly lost: number } {
    const members = this.membership.all();
    const idle = this.#grants.idle().length;
    return {
      joining: members.filter(({ state, silent }) => state !== 'ready' && !silent).length,
      idle,
      busy: this.membership.ready().length - idle,
      lost: members.filter(({ silent }) => silent).length,
    };
  }

  /** Present members that get no new lease for a while. */
  quarantinedCount(): number {
    const nowMs = this.#clock.nowMs();
    return this.membership.present().filter(({ workerId }) => this.#quarantine.untilMs(workerId, nowMs) !== undefined).length;
  }

  /** Where the workers' time went so far, in all processes of the run. */
  goodput(): GoodputReport {
    return this.#goodput.report(this.#clock.nowMs());
  }

  /** The part of this process in it. */
  ownSeconds(): WorkerSeconds {
    return this.#goodput.ownSeconds(this.#clock.nowMs());
  }

  /** All of it, for the journal. */
  goodputSoFar(): GoodputSoFar {
    return goodputSoFar(this.goodput(), this.membership.all().filter(({ state }) => state === 'ready').length);
  }

  /** Counts the time that workers wait for this work as that of a checkpoint. */
  async whileCheckpointing<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#activities.isCheckpointing = true;
    this.#activities.account(this.#running);
    try {
      return await work();
    } finally {
      this.#activities.isCheckpointing = false;
      this.#activities.account(this.#running);
    }
  }

  /**
   * A worker opened a stream.
   * @param owner whose worker it is, by certificate or token
   * @returns the id to report under
   */
  connect(link: WorkerLink<Snapshot>, owner?: string): number {
    if (this.#farewell === undefined) this.#awake.start();
    const { id } = this.membership.connect(this.#clock.nowMs());
    this.#seats.set(id, { link, owner, tasks: new Map(), version: undefined });
    if (this.#farewell !== undefined) this.#drop(id, this.#farewell.reason, 'the run is over', this.#farewell.word);
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
          this.#observer.workerReady?.(this.membership.get(id), report.message);
          break;
        case 'alive':
          if (returned) break;
          return;
        case 'block':
        case 'evaluation':
        case 'attack':
        case 'diagnosis':
        case 'initial':
          this.#answers.take(id, seat, report, this.#running);
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
    this.#turnFor(id);
  }

  /** True for a member that has a task to answer, also one that was cancelled since. */
  owesAnswer(id: number): boolean {
    return (this.#seats.get(id)?.tasks.size ?? 0) > 0;
  }

  /** The member's stream is closed. */
  disconnect(id: number, reason: string): void {
    // A stream that breaks says so more than once.
    if (!this.#seats.has(id)) return;
    this.#drop(id, 'disconnected', reason);
    this.#turnFor(id);
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

  /** A new version of the parameters: who waits for work gets it at once, the others before their next task. */
  publish(version: number, values: Float32Array): void {
    this.#grants.publish(version, this.#options.encodeParameters(version, values));
  }

  /**
   * Does a job; resolves when every unit has one valid answer.
   * @throws DeepDefenseError WORKERS_LOST when nobody is left for too long, INTERRUPTED after {@link abandon}, the workers' error when
   * the job fails on several of them.
   */
  run(job: Job): Promise<void> {
    if (this.#running !== undefined) throw new DeepDefenseError('INTERNAL', { what: 'a job was started before the last one had ended' });
    // Evaluations differ too much from each other for a common pace.
    const pace = job.kind === 'train' ? this.#trainingPace : new Pace();
    pace.fade();
    return new Promise((resolve, reject) => {
      const deadlineMs = this.#options.stepDeadlineMs * (job.deadlineFactor ?? 1);
      this.#running = { job, pace, granted: false, answered: new Set(), doubted: new Set(), failures: 0, deadlineMs, resolve, reject };
      this.#turn();
    });
  }

  /** Gives up the running job, if any; its promise rejects with INTERRUPTED. */
  abandon(reason: string): void {
    this.#end(new DeepDefenseError('INTERRUPTED', { what: `the work in progress was given up: ${reason}` }));
  }

  /** Tells every member that the run is over and takes no more. */
  finish(state: 'completed' | 'stopped' | 'failed', reason: string): void {
    this.#close(reason, { reason: 'finished', word: coordinatorMessage('finish', { state, reason }) });
  }

  /** Ends without a word: members take it for a crash and wait for the run's next coordinator, with their data and sessions. */
  suspend(reason: string): void {
    this.#close(reason, { reason: 'disconnected', word: undefined });
  }

  #close(reason: string, farewell: Farewell): void {
    this.#farewell = farewell;
    this.abandon(reason);
    for (const id of this.#seats.keys()) this.#drop(id, farewell.reason, reason, farewell.word);
    this.#wakeUp.close();
    this.#awake.stop();
  }

  // --- what members say

  #hello(id: number, hello: Hello, seat: Seat<Snapshot>): void {
    const replaced = this.membership.hello(id, hello);
    if (replaced !== undefined) this.#drop(replaced.id, 'disconnected', 'the worker has reconnected');
    this.#shortage.joined();
    seat.link.send(coordinatorMessage('welcome', { ...this.#options.welcome, engineFingerprint: this.membership.engineFingerprint ?? '' }));
    this.#observer.workerJoined?.(this.membership.get(id), hello);
  }

  #failure(id: number, seat: Seat<Snapshot>, failure: TaskFailure): void {
    const task = seat.tasks.get(failure.taskId);
    if (task !== undefined) seat.tasks.delete(task.id);
    // A task that was taken away is acknowledged with a failure: the worker is free again, nothing is wrong with it.
    if (task?.cancelled === true || (task === undefined && failure.taskId !== 0)) return;
    this.#shortage.failed(failure);
    const error = failedWorker(this.membership.get(id).workerId, failure, task?.job);
    this.refuse(id, error);
    const running = this.#running;
    if (running === undefined || task?.job !== running.job) return;
    running.failures += 1;
    if (running.failures >= MAX_TASK_FAILURES) this.#end(error);
  }

  // --- what follows

  /**
   * What follows from a change of one member: at once, or with the changes of the next moment where looking at all members for each
   * change of so many would take time that grows with their square.
   */
  #turnFor(id: number): void {
    if (this.#seats.size > FEW_MEMBERS && this.#running?.job.leases.complete !== true) this.#turnSoon(id);
    else this.#turn();
  }

  /** Like {@link #turn}, for all changes of the next moment together. */
  #turnSoon(id: number): void {
    if (this.#seats.has(id)) this.#activities.accountFor(id, this.#running);
    this.#wakeUp.at(this.#clock.nowMs() + TURN_INTERVAL_MS);
  }

  /** Everything that may follow from a change, in one place. */
  #turn(): void {
    if (this.#farewell !== undefined) return;
    this.#proceed();
    this.#activities.account(this.#running);
  }

  /** Completion, new leases, notices and the next wake-up. */
  #proceed(): void {
    const nowMs = this.#clock.nowMs();
    this.#shortage.look(nowMs);
    const running = this.#running;
    if (running === undefined) return;
    if (running.job.leases.complete) return this.#end(undefined);
    this.#grants.grant(running);
    const noticeAtMs = this.#shortage.tell(running, nowMs);
    for (const timeMs of [noticeAtMs, this.#shortage.lostAtMs, this.#grants.nextGrantMs(running)])
      if (timeMs !== undefined) this.#wakeUp.at(timeMs);
  }

  // --- ends

  #end(error: DeepDefenseError | undefined): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#shortage.forget();
    if (error === undefined) return running.resolve();
    this.#grants.cancelAll();
    this.#activities.account(this.#running);
    running.reject(error);
  }

  #drop(id: number, reason: LeaveReason, detail: string, lastWord?: CoordinatorMessage): void {
    const seat = this.#seats.get(id);
    if (seat === undefined) return;
    this.#seats.delete(id);
    this.#grants.revoke(id, this.#running, reason === 'refused' ? 'failed' : 'lost');
    const member = this.membership.leave(id);
    this.#goodput.leave(id, this.#clock.nowMs());
    if (lastWord !== undefined) seat.link.send(lastWord);
    seat.link.close();
    if (member !== undefined) this.#observer.workerLeft?.(member, reason, detail);
  }

  // --- time

  #tick(): void {
    this.#awake.look();
    const nowMs = this.#clock.nowMs();
    for (const member of this.membership.findSilent(nowMs, this.#options.leaseMs)) {
      this.#observer.workerSilent?.(member);
      this.#grants.revoke(member.id, this.#running, 'lost');
      // A worker that prepares may be too busy to speak.
      if (member.state === 'ready') this.#grants.isolate(member, 'silent', nowMs);
    }
    const goneAfterMs = Math.max(this.#options.workersLostMs, this.#options.leaseMs * 2);
    for (const { id, silent, lastHeardMs } of this.membership.all()) {
      if (silent && nowMs - lastHeardMs >= goneAfterMs) this.#drop(id, 'silent', 'not heard for too long');
      else this.#wakeUp.at(lastHeardMs + (silent ? goneAfterMs : this.#options.leaseMs + 1));
    }
    this.#turn();
    const error = this.#shortage.lost(nowMs);
    if (error !== undefined) this.#end(error);
  }
}
