/**
 * @file What workers commit becomes a part of the sweep: it is written to the journal, counted in the journal's order, and what the
 * planner decides upon it is written down and handed out. A replay of the journal sees the same.
 */
import { join } from 'node:path';
import type { TrialMeasured } from '../journal/index.ts';
import type { Task, TaskEnd } from '../queue/index.ts';
import type { SweepAnnouncer } from './sweep-announcer.ts';
import { TRIALS_FOLDER } from './sweep-backend.ts';
import type { SweepContext } from './sweep-context.ts';
import { measuredOf } from './sweep-measured.ts';
import { type Decisions, type DuePart, measurementKey } from './sweep-state.ts';

export interface SweepLedgerOptions {
  readonly announcer: SweepAnnouncer;
  /** Hands a task out. */
  readonly publish: (task: Task) => Promise<'published' | 'duplicate'>;
  /** The journal takes no more: ends the sweep. */
  readonly fail: (error: unknown) => Promise<void>;
}

/** See the file's header. */
export class SweepLedger {
  readonly #context: SweepContext;
  readonly #options: SweepLedgerOptions;
  /** In the journal and not yet counted, in its order. */
  readonly #uncounted: TrialMeasured[] = [];
  #syncing: Promise<void> | undefined;

  constructor(context: SweepContext, options: SweepLedgerOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Hands out what is due, and writes down candidates that were chosen since the journal's last line: all of a new sweep, or what a crash cut off. */
  async begin(): Promise<void> {
    const { planner, recorded, due } = this.#context.state;
    await this.#follow({ chosen: planner.candidates.slice(recorded), due: [...due] });
  }

  /** Makes the end of a task durable; a worker hears of success afterwards. */
  async record(end: TaskEnd): Promise<void> {
    const { backend, state, spans } = this.#context;
    const due = state.wanted(end.task);
    if (due === undefined) return;
    const measured = measuredOf(end, due, state);
    try {
      const appended = backend.journal.append(measured);
      this.#uncounted.push(measured);
      await appended;
      await this.#sync();
      spans.end(end.task, measured.error?.code);
    } catch (error) {
      await this.#options.fail(error);
      throw error;
    }
  }

  /**
   * Counts what the journal has and the planner hasn't, in the journal's order: a replay sees the same. Up to its first await it runs in
   * one turn, so that whatever is written next stands behind it there, too.
   */
  async count(): Promise<void> {
    const { state, eta, observer } = this.#context;
    const counted = this.#uncounted.splice(0);
    const following = counted.map((measured) => {
      eta.count(measured);
      state.add(measured);
      observer.measured(measured);
      const done = this.#follow(state.advance());
      this.#tell(measured);
      return done;
    });
    if (counted.length > 0) {
      this.#limitByTime();
      this.#options.announcer.announceSoon();
    }
    await Promise.all(following);
  }

  /** Raises the number of candidates; what is in the journal by now is counted before. */
  async extend(candidates: number): Promise<void> {
    const { backend, state, eta } = this.#context;
    const counted = this.count();
    const appended = backend.journal.append({ type: 'sweep-controlled', action: 'extend', candidates });
    state.planner.extend(candidates);
    eta.extended();
    const followed = this.#follow(state.advance());
    await Promise.all([counted, appended, followed]);
  }

  /** Forces the journal to the disk; ends that come meanwhile wait for the next time together. */
  async #sync(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing;
    this.#syncing = this.#context.backend.journal.sync().finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  /** Writes down decisions and hands out what is due. */
  async #follow({ chosen, due }: Decisions): Promise<void> {
    const { backend, state, channel } = this.#context;
    await Promise.all(chosen.map((each) => backend.journal.append({ type: 'candidate-chosen', ...choiceOf(each) })));
    for (const { candidate, trials, parameters } of chosen) backend.events.publish('trial.chosen', { candidate, trials, parameters });
    for (const part of due) await this.#publish(part);
    if (chosen.length > 0) channel.push({ kind: 'chosen', candidates: state.planner.count });
  }

  async #publish({ key, task, trial, part, chosen }: DuePart): Promise<void> {
    const { state, started, spans, folder } = this.#context;
    const work = state.trials.workOf(part, chosen, (candidate) => state.chosen(candidate));
    const { gang } = state.source.sweep;
    const traceparent = spans.begin(task, { ...part, trial });
    const fromScratch = state.isFromScratch(key);
    const payload = { ...work, sweep: started.sweepId, folder: join(folder, TRIALS_FOLDER), fromScratch, gang, traceparent };
    const outcome = await this.#options.publish({ id: task, payload: JSON.stringify(payload) });
    if (outcome === 'duplicate') spans.forget(task);
  }

  #tell({ candidate, seedIndex, rung, values, error, seconds, worker, epoch, trial }: TrialMeasured): void {
    const { state, backend, channel } = this.#context;
    const { measurements, planner } = state;
    const seed = state.source.sweep.seeds[seedIndex] as number;
    const sums = { measurements: measurements.size, candidates: planner.count, budget: planner.budget };
    channel.push({ kind: 'measured', candidate, seed, rung, values, error, seconds, ...sums });
    const task = measurementKey(trial, rung);
    if (values !== null) backend.events.publish('trial.measured', { task, candidate, rung, values, seconds, worker, epoch });
    else if (error !== undefined) backend.events.publish('trial.failed', { task, candidate, rung, error, worker, epoch });
  }

  #limitByTime(): void {
    const { state, backend, startedAt, clock } = this.#context;
    const { hours } = state.source.sweep.budget;
    if (hours === undefined || state.planner.limited || clock.nowMs() - Date.parse(startedAt) < hours * 3_600_000) return;
    void backend.journal.append({ type: 'sweep-controlled', action: 'limit' }).catch(() => {}); // The next append fails as well, and is awaited.
    state.planner.limit();
  }
}

function choiceOf({ candidate, point, parameters, trials, refused, parent }: Decisions['chosen'][number]) {
  return { candidate, point, parameters, trials, refused, ...(parent !== undefined && { parent }) };
}
