/** @file What must hold at every moment of a simulated run. Breaches are kept, because the code under test may catch what is thrown. */
import type { PoolObserver } from '../../src/coordinator/pool-observer.ts';
import { sha256 } from '../../src/core/index.ts';
import { effectiveSteps, type JournalEvent, type JournalRecord, type StepCommitted } from '../../src/journal/index.ts';
import type { Reference } from './arithmetic.ts';

/** What a life of the coordinator holds in memory. */
export interface LiveState {
  readonly step: number;
  readonly parametersSha256: string;
}

export class Checker {
  readonly #reference: Reference;
  /** Every event that was ever recorded and not lost with the machine, in order. */
  #history: JournalEvent[] = [];
  /** Leases of the step in progress that are out, as `job/shard/member/epoch`. */
  #leases = new Set<string>();
  #counted = new Map<number, number>();
  #step = 0;
  #breach: Error | undefined;
  readonly tally = {
    commits: 0,
    recomputed: 0,
    stale: 0,
    duplicates: 0,
    superseded: 0,
    expired: 0,
    quarantines: 0,
    cutTails: 0,
    lostRecords: 0,
  };
  readonly #seen = new Set<number>();

  constructor(reference: Reference) {
    this.#reference = reference;
  }

  /** The first breach, if any. */
  get breach(): Error | undefined {
    return this.#breach;
  }

  get history(): readonly JournalEvent[] {
    return this.#history;
  }

  fail(text: string): void {
    this.#breach ??= new Error(text);
  }

  /** A life of the coordinator has begun with this journal and goes on after `step` steps. */
  opened(records: readonly JournalRecord[], cut: boolean, forcedRecords: number): void {
    if (cut) this.tally.cutTails += 1;
    if (records.length < forcedRecords) this.fail(`${records.length} records are left of ${forcedRecords} that were forced to disk`);
    if (records.length > this.#history.length) this.fail(`the journal has ${records.length} records, ${this.#history.length} were written`);
    for (const [index, { event }] of records.entries()) {
      const written = this.#history[index];
      if (written === undefined || written.type !== event.type || (event.type === 'step-committed' && !sameStep(event, written)))
        this.fail(`record ${index + 1} is ${event.type}, written was ${written?.type}`);
    }
    this.tally.lostRecords += this.#history.length - records.length;
    this.#history = records.map(({ event }) => event);
    this.#forget(0);
  }

  /** The state with which a life begins must be the one that the journal leads to once the resume is recorded. */
  resumed(state: LiveState | undefined): void {
    const fold = foldOf(this.#history, this.#reference.batchSize);
    if (state === undefined) {
      if (fold.step !== 0) this.fail(`a run that begins again has ${fold.step} steps in its journal`);
    } else this.#compare(state, fold);
  }

  /** An event is on its way to the journal; `state` is what memory holds now. */
  recorded(event: JournalEvent, state: () => LiveState): void {
    this.#history.push(event);
    if (event.type === 'run-initialised' && event.parametersSha256 !== this.#reference.hashes[0])
      this.fail('the first parameters are others');
    if (event.type === 'checkpoint-written' && event.parametersSha256 !== this.#reference.hashes[event.step])
      this.fail(`the checkpoint of step ${event.step} has other parameters`);
    if (event.type !== 'step-committed') return;
    this.#committed(event);
    this.#compare(state(), foldOf(this.#history, this.#reference.batchSize));
  }

  observer(step: () => number): PoolObserver {
    return {
      leaseGranted: (member, job, { epoch, ranges }) => {
        if (job.kind !== 'train') return;
        if (job.step !== this.#step) this.#forget(job.step ?? 0);
        for (const { first, count } of ranges)
          for (let shard = first; shard < first + count; shard++) this.#leases.add(`${shard}/${member.id}/${epoch}`);
      },
      leaseExpired: (member, job, { ranges }) => {
        this.tally.expired += 1;
        if (job.kind !== 'train') return;
        for (const { first, count } of ranges)
          for (let shard = first; shard < first + count; shard++)
            for (const lease of this.#leases) if (lease.startsWith(`${shard}/${member.id}/`)) this.#leases.delete(lease);
      },
      answerAccepted: (member, answer) => {
        if (answer.kind !== 'block' || answer.message.block === null) return;
        const { step: of, leaseEpoch, block } = answer.message;
        if (of !== step()) this.fail(`an answer of step ${of} counts in step ${step()}`);
        for (let shard = block.first; shard < block.first + block.count; shard++) {
          if (!this.#leases.has(`${shard}/${member.id}/${leaseEpoch}`))
            this.fail(`step ${of}: ${member.workerId} has no lease of epoch ${leaseEpoch} on shard ${shard}, but its answer counts`);
          const counted = (this.#counted.get(shard) ?? 0) + 1;
          this.#counted.set(shard, counted);
          if (counted > 1) this.fail(`step ${of}: shard ${shard} counts ${counted} times`);
        }
      },
      answerDuplicate: () => {
        this.tally.duplicates += 1;
      },
      answerSuperseded: () => {
        this.tally.superseded += 1;
      },
      workerQuarantined: () => {
        this.tally.quarantines += 1;
      },
      answerRefused: () => {
        this.tally.stale += 1;
      },
      workerRefused: (member, error) => {
        if (error.code === 'INTERNAL') this.fail(`${member.workerId} was refused: ${error.message}`);
      },
    };
  }

  /** The run is completed; the hash of the final weights as they lie on disk. */
  completed(weightsSha256: string | undefined): void {
    const { hashes } = this.#reference;
    const steps = effectiveSteps(this.#history);
    const last = hashes.at(-1);
    const { samplesPerEpoch, batchSize } = this.#reference;
    const done = steps.reduce((sum, { samples }) => sum + samples, 0) / batchSize;
    if (done !== hashes.length - 1) this.fail(`the run ended with ${done} steps of ${hashes.length - 1}`);
    if (weightsSha256 !== last) this.fail(`the final weights are ${weightsSha256}, those of one machine ${last}`);
    const consumed = new Map<number, number>();
    for (const { position, samples } of steps)
      for (let at = position; at < position + samples; at++) consumed.set(at, (consumed.get(at) ?? 0) + 1);
    for (let at = 0; at < done * batchSize; at++)
      if (consumed.get(at) !== 1)
        this.fail(
          `sample ${at % samplesPerEpoch} of epoch ${Math.floor(at / samplesPerEpoch)} was consumed ${consumed.get(at) ?? 0} times`,
        );
  }

  #committed(event: StepCommitted): void {
    const { step, blocks, position, samples, parametersSha256 } = event;
    const { batchSize } = this.#reference;
    const { shards } = this.#reference.config.train;
    this.tally.commits += 1;
    if (this.#seen.has(step)) this.tally.recomputed += 1;
    this.#seen.add(step);
    let next = 0;
    for (const { first, count, gradientsSha256, workerId } of blocks) {
      if (first !== next)
        this.fail(
          `step ${step}: shards from ${Math.min(first, next)} to ${Math.max(first, next)} are ${first > next ? 'missing' : 'doubled'}`,
        );
      if (gradientsSha256 !== this.#reference.blockHash(step, first, count))
        this.fail(`step ${step}: ${workerId} gave another gradient for shards [${first}, ${first + count})`);
      next = first + count;
    }
    if (next !== shards) this.fail(`step ${step}: ${next} of ${shards} shards are counted`);
    for (let shard = 0; shard < shards; shard++)
      if (this.#counted.get(shard) !== 1) this.fail(`step ${step}: shard ${shard} was taken ${this.#counted.get(shard) ?? 0} times`);
    const end = Math.min(step + this.#reference.config.sync.everySteps, this.#reference.hashes.length - 1);
    if (position !== step * batchSize || position + samples !== end * batchSize)
      this.fail(`step ${step}: positions [${position}, ${position + samples})`);
    if (parametersSha256 !== this.#reference.hashes[end]) this.fail(`step ${step} led to other parameters`);
    this.#forget(end);
  }

  #forget(step: number): void {
    this.#step = step;
    this.#leases.clear();
    this.#counted.clear();
  }

  #compare(state: LiveState, fold: LiveState): void {
    if (state.step !== fold.step || state.parametersSha256 !== fold.parametersSha256)
      this.fail(
        `memory holds step ${state.step}, ${state.parametersSha256.slice(0, 8)}; the journal leads to step ${fold.step}, ${fold.parametersSha256.slice(0, 8)}`,
      );
  }
}

function sameStep(event: StepCommitted, written: JournalEvent): boolean {
  return written.type === 'step-committed' && written.step === event.step && written.parametersSha256 === event.parametersSha256;
}

/** The state that the events lead to: steps must follow one another. */
function foldOf(events: readonly JournalEvent[], batchSize: number): LiveState {
  const steps = effectiveSteps(events);
  let next = 0;
  const gap = steps.findIndex(({ step, samples }) => {
    if (step !== next) return true;
    next += samples / batchSize;
    return false;
  });
  const initial = events.find((event) => event.type === 'run-initialised')?.parametersSha256 ?? sha256();
  if (gap !== -1) return { step: -1, parametersSha256: `step ${steps[gap]?.step} follows, expected was ${next}` };
  return { step: next, parametersSha256: steps.at(-1)?.parametersSha256 ?? initial };
}
