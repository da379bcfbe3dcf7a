/**
 * @file The state of a sweep as a fold over its journal: the definition, the measurements so far, and the planner that has counted them.
 * Opening a sweep, showing one that is over and checking one all begin here.
 */
import { resolveSweep, type SweepSource } from '../config/index.ts';
import { DeepDefenseError } from '../core/index.ts';
import type { JournalRecord, SweepEvent, SweepStarted, TrialMeasured } from '../journal/index.ts';
import { type Chosen, createSampler, createScheduler, type Part, Planner, SearchSpace, Trials } from '../sweeps/index.ts';

/** Lanes of a sweep whose decisions don't depend on results: enough to keep many workers busy. */
const INDEPENDENT_LANES = 256;

/** Parts that are due and have no measurement yet, with their candidates. */
export interface DuePart {
  readonly part: Part;
  readonly chosen: Chosen;
  readonly trial: string;
  /** Name of the measurement. */
  readonly key: string;
  /** Name of the queue's task: another one each time that failed trials are tried again, because the queue remembers the end of each. */
  readonly task: string;
}

/** What {@link SweepState.advance} has decided. */
export interface Decisions {
  readonly chosen: Chosen[];
  readonly due: DuePart[];
}

export class SweepState {
  readonly source: SweepSource;
  readonly space: SearchSpace;
  readonly trials: Trials;
  readonly planner: Planner;
  /** Coordinator processes so far. */
  readonly generation: number;
  readonly paused: boolean;
  /** Share of the workers' time relative to other sweeps, as the journal has it. */
  readonly priority: number;
  /** Candidates that stand in the journal. */
  readonly recorded: number;
  readonly #measurements: Map<string, TrialMeasured>;
  /** How often failed measurements were tried again, by name. */
  readonly #retries = new Map<string, number>();
  /** Measurements that are tried again from the first step. */
  readonly #fromScratch: ReadonlySet<string>;
  /** Parts that are due, by name, in the order of the decisions. */
  readonly #due = new Map<string, DuePart>();
  readonly #chosen = new Map<number, Chosen>();

  private constructor(source: SweepSource, events: readonly SweepEvent[]) {
    this.source = source;
    this.space = new SearchSpace(source.sweep);
    this.trials = new Trials(source, this.space);
    this.generation = events.reduce((most, event) => (event.type === 'sweep-opened' ? Math.max(most, event.generation) : most), 0);
    this.paused = lastPause(events) === 'pause';
    this.priority = lastPriority(events) ?? source.sweep.priority;
    // From where failed trials were tried again on, decisions are made anew: what stands before it counts as if it had been there all along.
    const anew = events.findLastIndex(({ type }) => type === 'failed-retried') + 1;
    const [before, after] = [events.slice(0, anew), events.slice(anew)];
    const retried = events[anew - 1];
    this.#fromScratch = new Set(retried?.type === 'failed-retried' && retried.from === 'scratch' ? retried.measurements : []);
    for (const event of before)
      if (event.type === 'failed-retried') for (const key of event.measurements) this.#retries.set(key, (this.#retries.get(key) ?? 0) + 1);
    this.#measurements = measurementsOf(before);
    const recorded = recordedChoices(after);
    this.recorded = recorded.length;
    this.planner = this.#createPlanner(recorded);
    for (const event of before)
      if (event.type === 'sweep-controlled' && event.action === 'extend') this.planner.extend(event.candidates ?? 0);
    this.advance();
    for (const event of after) this.#replay(event);
  }

  /** A new sweep. @throws DeepDefenseError CONFIG_*, SWEEP_SPACE_EMPTY */
  static fresh(source: SweepSource): SweepState {
    return new SweepState(source, []);
  }

  /** @param records of a sweep's journal, at least the first line */
  static fromJournal(records: readonly JournalRecord<SweepEvent>[]): { readonly state: SweepState; readonly started: SweepStarted } {
    const events = records.map(({ event }) => event);
    const [started] = events;
    if (started?.type !== 'sweep-started') {
      throw new DeepDefenseError('SWEEP_OTHER', {
        what: 'the journal is not that of a sweep',
        expected: 'a first event "sweep-started"',
        got: started === undefined ? 'an empty journal' : `"${(started as { readonly type: string }).type}"`,
        todo: 'give the folder of a sweep',
      });
    }
    // With the defaults of keys that are younger than the journal.
    return { state: new SweepState({ sweep: resolveSweep(started.sweep, 'the journal'), base: started.base }, events), started };
  }

  /** Measurements that count, by name. */
  get measurements(): ReadonlyMap<string, TrialMeasured> {
    return this.#measurements;
  }

  /** Parts that are due and have no measurement yet, in the order of the decisions. */
  get due(): readonly DuePart[] {
    return [...this.#due.values()];
  }

  /** The part that a task of the queue is to measure; undefined when it is not wanted, or was there before. */
  wanted(task: string): DuePart | undefined {
    const due = this.#due.get(task.replace(/_\d+$/, ''));
    return due?.task === task ? due : undefined;
  }

  /** True where a trial begins at its first step again, whatever checkpoints it has. */
  isFromScratch(key: string): boolean {
    return this.#fromScratch.has(key);
  }

  /** Counts a measurement; the first one of its name. Follow it with {@link advance}. */
  add(measured: TrialMeasured): void {
    const key = measurementKey(measured.trial, measured.rung);
    if (this.#measurements.has(key)) return;
    this.#measurements.set(key, measured);
    const due = this.#due.get(key);
    this.#due.delete(key);
    if (due !== undefined) this.#report(due.part, measured);
  }

  /** Goes on as far as the measurements allow. Parts that have been measured before are counted and not due. */
  advance(): Decisions {
    const decided: Decisions = { chosen: [], due: [] };
    for (;;) {
      const { chosen, parts } = this.planner.advance();
      for (const each of chosen) this.#chosen.set(each.candidate, each);
      decided.chosen.push(...chosen);
      let known = 0;
      for (const part of parts) {
        const ofPart = this.chosen(part.candidate);
        const trial = ofPart.trials[part.seedIndex] as string;
        const key = measurementKey(trial, part.rung);
        const measured = this.#measurements.get(key);
        if (measured === undefined) {
          const retries = this.#retries.get(key);
          const due = { part, chosen: ofPart, trial, key, task: retries === undefined ? key : `${key}_${retries}` };
          this.#due.set(key, due);
          decided.due.push(due);
        } else {
          this.#report(part, measured);
          known += 1;
        }
      }
      if (known === 0) return decided;
    }
  }

  chosen(candidate: number): Chosen {
    return this.#chosen.get(candidate) as Chosen;
  }

  #replay(event: SweepEvent): void {
    if (event.type === 'trial-measured') this.add(event);
    else if (event.type === 'sweep-controlled' && event.action === 'extend') this.planner.extend(event.candidates ?? 0);
    else if (event.type === 'sweep-controlled' && event.action === 'limit') this.planner.limit();
    else return;
    this.advance();
  }

  #report(part: Part, { values, flags }: TrialMeasured): void {
    this.planner.report(part, { losses: values === null ? undefined : this.trials.lossesOf(values), flags });
  }

  #createPlanner(recorded: readonly Chosen[]): Planner {
    const { sweep } = this.source;
    const { sampler: samplerConfig, scheduler: schedulerConfig } = sweep;
    const rungs = this.trials.rungs.length;
    const sampler = createSampler(samplerConfig.name, {
      coordinates: this.space.coordinates,
      seed: sweep.seed,
      objectives: sweep.objectives.length,
      startup: samplerConfig.startup,
      population: samplerConfig.population,
    });
    const scheduler = createScheduler(schedulerConfig.name, {
      rungs,
      reduction: schedulerConfig.reduction,
      grace: schedulerConfig.grace,
      candidates: sweep.budget.candidates,
      population: schedulerConfig.population,
      quantile: schedulerConfig.quantile,
      seed: sweep.seed,
    });
    const isIndependent = !sampler.learns && schedulerConfig.name === 'none';
    return new Planner({
      space: this.space,
      sampler,
      scheduler,
      mode: sweep.mode,
      lanes: isIndependent ? Math.max(sweep.lanes, INDEPENDENT_LANES) : sweep.lanes,
      budget: sweep.budget.candidates,
      seeds: sweep.seeds.length,
      stopOnFlags: schedulerConfig.stopOnFlags,
      plannedTime: (part, chosen) => this.trials.plannedTime(part, chosen),
      seed: sweep.seed,
      resample: schedulerConfig.resample,
      trialsOf: (assignments, origin) => this.trials.trialsOf(assignments, origin),
      recorded,
    });
  }
}

/** Name of a measurement inside its sweep, and of the queue's task that makes it. */
export function measurementKey(trial: string, rung: number): string {
  return `${trial.slice(0, 32)}-${rung}`;
}

function measurementsOf(events: readonly SweepEvent[]): Map<string, TrialMeasured> {
  const measurements = new Map<string, TrialMeasured>();
  for (const event of events) {
    if (event.type === 'failed-retried') for (const key of event.measurements) measurements.delete(key);
    if (event.type !== 'trial-measured') continue;
    const key = measurementKey(event.trial, event.rung);
    if (!measurements.has(key)) measurements.set(key, event);
  }
  return measurements;
}

function recordedChoices(events: readonly SweepEvent[]): readonly Chosen[] {
  return events.flatMap((event) => {
    if (event.type !== 'candidate-chosen') return [];
    const { candidate, point, parameters, trials, refused, parent } = event;
    return [{ candidate, point, parameters: parameters as Chosen['parameters'], trials, refused, parent }];
  });
}

function lastPause(events: readonly SweepEvent[]): 'pause' | 'resume' | undefined {
  return events.reduce<'pause' | 'resume' | undefined>(
    (last, event) => (event.type === 'sweep-controlled' && (event.action === 'pause' || event.action === 'resume') ? event.action : last),
    undefined,
  );
}

function lastPriority(events: readonly SweepEvent[]): number | undefined {
  const last = events.findLast((event) => event.type === 'sweep-controlled' && event.action === 'priority');
  return last?.type === 'sweep-controlled' ? last.priority : undefined;
}
