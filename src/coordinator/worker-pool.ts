/**
 * @file The protocol between a coordinator and its workers, without transport: members and their signs of life, leases of the current
 * job, parameter versions, refusals, and the end of the run when nobody is left. Time and links are injected, so a test can run
 * thousands of interleavings a minute. One job at a time; everything happens in the caller's turn of the event loop.
 */
import { type Clock, DeepDefenseError, errorCodeOr, isDeepDefenseError } from '../core/index.ts';
import type { GoodputSoFar } from '../journal/index.ts';
import { coordinatorMessage, type CoordinatorMessage, type Hello, type ShardBlock, type TaskFailure } from '../wire/index.ts';
import { type Activity, Goodput, type GoodputReport, type WorkerSeconds } from './goodput.ts';
import { goodputSoFar } from './goodput-history.ts';
import type { Answer, Job } from './job.ts';
import { LeaseGrants } from './lease-grants.ts';
import { type Member, Membership } from './membership.ts';
import { Pace } from './pace.ts';
import type { LeaveReason, PoolObserver } from './pool-observer.ts';
import { Quarantine } from './quarantine.ts';
import type { RunningJob, Seat, Task } from './seat.ts';
import { WakeUp } from './wake-up.ts';
import type { WorkerLink, WorkerPoolOptions, WorkerReport } from './worker-link.ts';

/** How often a wait for workers is said again. */
export const WAITING_NOTICE_MS = 10_000;
/** So many members are looked at after each of their answers; with more, once per {@link TURN_INTERVAL_MS}. */
const FEW_MEMBERS = 32;
const TURN_INTERVAL_MS = 25;
/** How often the pool notes that it is awake, and by how much it may be late. */
const AWAKE_MS = 250;
const LATE_MS = 100;
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
  #checkpointing = false;
  #running: RunningJob | undefined;
  readonly #wakeUp: WakeUp;
  #everJoined = false;
  #emptySinceMs: number | undefined;
  #noticeAtMs: number | undefined;
  #lastFailure: TaskFailure | undefined;
  /** What comers and goers hear once the pool is closed. */
  #farewell: Farewell | undefined;
  #awakeAtMs: number | undefined;
  #stopWatching: () => void = () => {};

  constructor(options: WorkerPoolOptions<Snapshot>) {
    this.#options = options;
    this.#clock = options.clock;
    this.#observer = options.observer;
    this.#wakeUp = new WakeUp(options.clock, () => this.#tick());
    this.membership = new Membership(options.identity);
    this.#goodput = new Goodput(options.earlierGoodput);
    this.#grants = new LeaseGrants({
      clock: options.clock,
      membership: this.membership,
      seats: this.#seats,
      observer: options.observer,
      quarantine: this.#quarantine,
      maxWorkers: options.maxWorkers ?? Number.POSITIVE_INFINITY,
      firstTaskId: options.firstTaskId ?? 1,
    });
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
    this.#checkpointing = true;
    this.#account();
    try {
      return await work();
    } finally {
      this.#checkpointing = false;
      this.#account();
    }
  }

  /**
   * A worker opened a stream.
   * @param owner whose worker it is, by certificate or token
   * @returns the id to report under
   */
  connect(link: WorkerLink<Snapshot>, owner?: string): number {
    if (this.#awakeAtMs === undefined && this.#farewell === undefined) this.#watchAwake();
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
    this.#stopWatching();
  }

  // --- what members say

  #hello(id: number, hello: Hello, seat: Seat<Snapshot>): void {
    const replaced = this.membership.hello(id, hello);
    if (replaced !== undefined) this.#drop(replaced.id, 'disconnected', 'the worker has reconnected');
    this.#everJoined = true;
    seat.link.send(coordinatorMessage('welcome', { ...this.#options.welcome, engineFingerprint: this.membership.engineFingerprint ?? '' }));
    this.#observer.workerJoined?.(this.membership.get(id), hello);
  }

  #answer(id: number, seat: Seat<Snapshot>, answer: Answer): void {
    const running = this.#running;
    const nowMs = this.#clock.nowMs();
    const task = seat.tasks.get(answer.message.taskId);
    if (task === undefined) return this.#refuseAnswer(id, answer, 'the task is not open');
    const { range, epoch } = task.job.locate(answer, task.parts, task.epoch);
    const verdict = task.job.leases.judge(range, id, epoch);
    const committed = task.job !== running?.job;
    const isValid = verdict === 'valid' && !committed;
    const isDoubtful = isValid && this.#isDoubtful(id, running, answer);
    const counts = isValid && !isDoubtful;
    const rivals = counts ? this.#count(running, id, task, range, answer) : [];
    const computeMs = answer.kind === 'initial' ? 0 : answer.message.computeMs;
    this.#goodput.answered(id, computeMs, counts, nowMs);
    // An answer under an epoch that isn't the task's own is no answer to it: the task stays open.
    if (committed || epoch === task.epoch) this.#closePart(seat, task, range);
    if (isDoubtful) this.#setAside(id, running);
    // What the coordinator does with the answer is its time.
    if (seat.tasks.size === 0) this.#goodput.turn(id, 'coordinator', nowMs);
    // The rest of its own task may have been done by others, too.
    if (counts) this.#grants.cancelSuperseded(task.job, [id, ...rivals]);
    if (verdict === 'superseded') this.#observer.answerSuperseded?.(this.membership.get(id));
    else if (committed) this.#refuseAnswer(id, answer, 'its step has been committed');
    else if (verdict === 'duplicate') this.#observer.answerDuplicate?.(this.membership.get(id));
    else if (verdict === 'stale') this.#refuseAnswer(id, answer, 'its lease has been given to another worker');
  }

  /**
   * True for an answer with NaN or infinity of which nobody knows yet whether the training diverges or the worker errs or lies: another
   * owner's worker is asked first. Where two say so, or nobody else is there, it counts.
   */
  #isDoubtful(id: number, { job, doubted }: RunningJob, answer: Answer): boolean {
    if (job.isFinite?.(answer) !== false) return false;
    const ownerOf = (member: Member) => this.#seats.get(member.id)?.owner ?? member.workerId;
    const owner = ownerOf(this.membership.get(id));
    doubted.add(owner);
    return doubted.size === 1 && this.membership.ready().some((member) => ownerOf(member) !== owner);
  }

  /** Its units go to others, and the worker gets none for a while. */
  #setAside(id: number, running: RunningJob): void {
    this.#observer.answerDoubted?.(this.membership.get(id), running.job);
    this.#grants.revoke(id, running, 'failed');
  }

  /** Takes a valid answer. Returns who else computes the same. */
  #count({ job, pace, answered }: RunningJob, id: number, task: Task, range: ShardBlock, answer: Answer): number[] {
    if (answer.kind === 'block' && answer.message.metricSums.length !== this.membership.metricNames?.length) {
      throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', { what: 'a block result has the wrong number of metrics' });
    }
    if (answer.kind === 'block') this.#checkAccuracy(range, answer.message.metricSums);
    const member = this.membership.get(id);
    job.accept(range, answer, member.workerId);
    const rivals = job.leases.settle(range, id);
    answered.add(id);
    const nowMs = this.#clock.nowMs();
    pace.add(nowMs - task.answeredAtMs, range.count);
    task.answeredAtMs = nowMs;
    // Its last open part.
    if (task.open.size === 1) this.#quarantine.answered(member.workerId);
    this.#observer.answerAccepted?.(member, answer);
    return rivals;
  }

  /** A share of correct answers per shard: no sum of them is above their number. */
  #checkAccuracy({ count }: ShardBlock, metricSums: readonly number[]): void {
    const accuracy = metricSums[this.membership.metricNames?.indexOf('accuracy') ?? -1];
    if (accuracy === undefined || !(accuracy < 0 || accuracy > count * (1 + 1e-9))) return;
    throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
      what: `a worker reports an accuracy that ${count} shards can't have`,
      expected: `a sum of shares, 0 to ${count}`,
      got: String(accuracy),
    });
  }

  #closePart(seat: Seat<Snapshot>, task: Task, { first }: Readonly<ShardBlock>): void {
    task.open.delete(first);
    if (task.open.size === 0) seat.tasks.delete(task.id);
  }

  #refuseAnswer(id: number, answer: Answer, why: string): void {
    const { taskId } = answer.message;
    this.#observer.answerRefused?.(this.membership.get(id), 'PROTOCOL_STALE_LEASE', why);
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
          ? `worker "${this.membership.get(id).workerId}" can't start`
          : `worker "${this.membership.get(id).workerId}" failed to ${task.job.kind}`,
      got: failure.message,
      todo: "see the worker's log",
    });
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
    const nowMs = this.#clock.nowMs();
    if (this.#seats.has(id)) this.#goodput.turn(id, this.#activity(this.membership.get(id), true), nowMs);
    this.#wakeUp.at(nowMs + TURN_INTERVAL_MS);
  }

  /** Everything that may follow from a change, in one place. */
  #turn(): void {
    if (this.#farewell !== undefined) return;
    this.#proceed();
    this.#account();
  }

  /** Completion, new leases, notices and the next wake-up. */
  #proceed(): void {
    const nowMs = this.#clock.nowMs();
    this.#emptySinceMs = this.membership.present().length > 0 ? undefined : (this.#emptySinceMs ?? nowMs);
    const running = this.#running;
    if (running === undefined) return;
    if (running.job.leases.complete) return this.#end(undefined);
    this.#grants.grant(running);
    this.#notice(running, nowMs);
    if (this.#everJoined && this.#emptySinceMs !== undefined) this.#wakeUp.at(this.#emptySinceMs + this.#options.workersLostMs);
    const nextGrantMs = this.#grants.nextGrantMs(running);
    if (nextGrantMs !== undefined) this.#wakeUp.at(nextGrantMs);
  }

  /** Tells {@link Goodput} what each member does now. */
  #account(): void {
    const nowMs = this.#clock.nowMs();
    const takers = new Set(this.#grants.takers());
    for (const member of this.membership.all()) {
      if (member.silent || member.state === 'connected') this.#goodput.leave(member.id, nowMs);
      else this.#goodput.turn(member.id, this.#activity(member, takers.has(member)), nowMs);
    }
  }

  #activity({ id, state }: Member, mayTakeLeases: boolean): Activity {
    const running = this.#running;
    if (state === 'preparing' || running?.job.kind === 'initialise') return 'preparing';
    const tasks = [...(this.#seats.get(id)?.tasks.values() ?? [])];
    if (tasks.length > 0) {
      // A task that was cancelled is still computed.
      if (tasks.every(({ cancelled }) => cancelled)) return 'recomputed';
      return running?.job.kind === 'evaluate' ? 'evaluating' : 'training';
    }
    if (!mayTakeLeases) return 'idle';
    if (running === undefined) return this.#checkpointing ? 'checkpointing' : 'coordinator';
    if (running.job.kind === 'evaluate') return 'evaluation';
    return running.granted ? 'stragglers' : 'idle';
  }

  // --- ends

  #end(error: DeepDefenseError | undefined): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#noticeAtMs = undefined;
    if (error === undefined) return running.resolve();
    this.#grants.cancelAll();
    this.#account();
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

  #watchAwake(): void {
    this.#excuseSleep();
    this.#stopWatching = this.#clock.setTimer(AWAKE_MS, () => this.#watchAwake());
  }

  /** Time in which this process could hear nobody, because it was stopped or busy, is no silence of the members. */
  #excuseSleep(): void {
    const nowMs = this.#clock.nowMs();
    const sinceMs = nowMs - (this.#awakeAtMs ?? nowMs);
    this.#awakeAtMs = nowMs;
    if (sinceMs > AWAKE_MS + LATE_MS) this.membership.excuse(sinceMs, nowMs);
  }

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
    this.#excuseSleep();
    const nowMs = this.#clock.nowMs();
    for (const member of this.membership.findSilent(nowMs, this.#options.leaseMs)) {
      this.#observer.workerSilent?.(member);
      this.#grants.revoke(member.id, this.#running, 'lost');
      // A worker that prepares may be too busy to speak.
      if (member.state === 'ready') this.#grants.isolate(member, 'silent', nowMs);
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
