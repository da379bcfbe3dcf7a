/**
 * @file What an answer is worth and what it changes: it counts, is set aside, or is refused. Part of the worker pool, which says what
 * follows for its job.
 */
import { DeepDefenseError } from '../core/index.ts';
import { coordinatorMessage, type ShardBlock } from '../wire/index.ts';
import type { Goodput } from './goodput.ts';
import type { Answer } from './job.ts';
import type { LeaseGrants } from './lease-grants.ts';
import type { Member } from './membership.ts';
import type { PoolParts, RunningJob, Seat, Task } from './seat.ts';

/** See the file's header. */
export class Answers<Snapshot> {
  readonly #parts: PoolParts<Snapshot>;
  readonly #grants: LeaseGrants<Snapshot>;
  readonly #goodput: Goodput;

  constructor(parts: PoolParts<Snapshot>, grants: LeaseGrants<Snapshot>, goodput: Goodput) {
    this.#parts = parts;
    this.#grants = grants;
    this.#goodput = goodput;
  }

  /**
   * A member answers.
   * @throws DeepDefenseError PROTOCOL_BAD_MESSAGE when the answer doesn't fit its task or has the wrong form; then nothing was taken.
   */
  take(id: number, seat: Seat<Snapshot>, answer: Answer, running: RunningJob | undefined): void {
    const { membership, observer, clock } = this.#parts;
    const nowMs = clock.nowMs();
    const task = seat.tasks.get(answer.message.taskId);
    if (task === undefined) return this.#refuse(id, seat, answer, 'the task is not open');
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
    if (committed || epoch === task.epoch) closePart(seat, task, range);
    if (isDoubtful) this.#setAside(id, running);
    // What the coordinator does with the answer is its time.
    if (seat.tasks.size === 0) this.#goodput.turn(id, 'coordinator', nowMs);
    // The rest of its own task may have been done by others, too.
    if (counts) this.#grants.cancelSuperseded(task.job, [id, ...rivals]);
    if (verdict === 'superseded') observer.answerSuperseded?.(membership.get(id));
    else if (committed) this.#refuse(id, seat, answer, 'its step has been committed');
    else if (verdict === 'duplicate') observer.answerDuplicate?.(membership.get(id));
    else if (verdict === 'stale') this.#refuse(id, seat, answer, 'its lease has been given to another worker');
  }

  /**
   * True for an answer with NaN or infinity of which nobody knows yet whether the training diverges or the worker errs or lies: another
   * owner's worker is asked first. Where two say so, or nobody else is there, it counts.
   */
  #isDoubtful(id: number, { job, doubted }: RunningJob, answer: Answer): boolean {
    if (job.isFinite?.(answer) !== false) return false;
    const { membership, seats } = this.#parts;
    const ownerOf = (member: Member) => seats.get(member.id)?.owner ?? member.workerId;
    const owner = ownerOf(membership.get(id));
    doubted.add(owner);
    return doubted.size === 1 && membership.ready().some((member) => ownerOf(member) !== owner);
  }

  /** Its units go to others, and the worker gets none for a while. */
  #setAside(id: number, running: RunningJob): void {
    const { membership, observer } = this.#parts;
    observer.answerDoubted?.(membership.get(id), running.job);
    this.#grants.revoke(id, running, 'failed');
  }

  /** Takes a valid answer. Returns who else computes the same. */
  #count({ job, pace, answered }: RunningJob, id: number, task: Task, range: ShardBlock, answer: Answer): number[] {
    const { membership, observer, quarantine, clock } = this.#parts;
    if (answer.kind === 'block') checkMetrics(range, answer.message.metricSums, membership.metricNames);
    const member = membership.get(id);
    job.accept(range, answer, member.workerId);
    const rivals = job.leases.settle(range, id);
    answered.add(id);
    const nowMs = clock.nowMs();
    pace.add(nowMs - task.answeredAtMs, range.count);
    task.answeredAtMs = nowMs;
    // Its last open part.
    if (task.open.size === 1) quarantine.answered(member.workerId);
    observer.answerAccepted?.(member, answer);
    return rivals;
  }

  #refuse(id: number, seat: Seat<Snapshot>, answer: Answer, why: string): void {
    const { membership, observer } = this.#parts;
    const { taskId } = answer.message;
    observer.answerRefused?.(membership.get(id), 'PROTOCOL_STALE_LEASE', why);
    seat.link.send(coordinatorMessage('answerRefused', { taskId, code: 'PROTOCOL_STALE_LEASE', message: why }));
  }
}

function closePart<Snapshot>(seat: Seat<Snapshot>, task: Task, { first }: Readonly<ShardBlock>): void {
  task.open.delete(first);
  if (task.open.size === 0) seat.tasks.delete(task.id);
}

/** As many as the run has; the accuracy is a share of correct answers per shard, and no sum of them is above their number. */
function checkMetrics({ count }: ShardBlock, sums: readonly number[], names: readonly string[] | undefined): void {
  if (sums.length !== names?.length) {
    throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', { what: 'a block result has the wrong number of metrics' });
  }
  const accuracy = sums[names.indexOf('accuracy')];
  if (accuracy === undefined || !(accuracy < 0 || accuracy > count * (1 + 1e-9))) return;
  throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
    what: `a worker reports an accuracy that ${count} shards can't have`,
    expected: `a sum of shares, 0 to ${count}`,
    got: String(accuracy),
  });
}
