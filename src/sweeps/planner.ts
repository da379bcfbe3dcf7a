/**
 * @file What a sweep does next, as a pure function of its config and of the measurements so far: which candidates there are, and which part
 * of which trial is due. Work runs in lanes. In timing-invariant mode a part takes a planned time in its lane, and measurements count in
 * the order of these times, whatever their real order is: all decisions follow from the config alone, with any number of workers. In
 * throughput mode measurements count as they arrive.
 */
import type { SweepConfig } from '../config/index.ts';
import { createHash } from 'node:crypto';
import { DeepDefenseError, Random } from '../core/index.ts';
import { perturbPoint } from './perturb.ts';
import type { Point } from './point.ts';
import type { Observation, Sampler } from './sampler.ts';
import type { Decision, Scheduler } from './scheduler.ts';
import type { SearchSpace } from './space.ts';
import type { ParameterValue } from './sweep-record.ts';

/** A part of a trial: training of one candidate with one seed up to a rung, and the measurement there. */
export interface Part {
  readonly candidate: number;
  /** Position in the sweep's list of seeds. */
  readonly seedIndex: number;
  readonly rung: number;
  /** Rung that the trial has been measured on before, -1 = none. */
  readonly fromRung: number;
}

/** A candidate as it was chosen. */
export interface Chosen {
  readonly candidate: number;
  readonly point: Point;
  readonly parameters: Readonly<Record<string, ParameterValue>>;
  /** Ids of its trials, one per seed. */
  readonly trials: readonly string[];
  /** Suggestions that were refused before it, as duplicates or by constraints. */
  readonly refused: number;
  /** It goes on with the weights of this candidate as they were on this rung; undefined where it begins with its own. */
  readonly parent?: { readonly candidate: number; readonly rung: number } | undefined;
}

/** What came of a part. */
export interface Outcome {
  /** One value per objective, all to be minimised; undefined when the trial failed. */
  readonly losses: readonly number[] | undefined;
  /** Signs of masked gradients. */
  readonly flags: readonly string[];
}

export type CandidateState = 'running' | 'paused' | 'stopped' | 'completed' | 'failed';

/** What the planner says of a candidate. */
export interface CandidateStatus extends Chosen {
  readonly state: CandidateState;
  readonly reason: string;
  /** Highest rung that it was sent to. */
  readonly rung: number;
}

export interface PlannerOptions {
  readonly space: SearchSpace;
  readonly sampler: Sampler;
  readonly scheduler: Scheduler;
  readonly mode: SweepConfig['mode'];
  readonly lanes: number;
  /** Candidates of the sweep at most. */
  readonly budget: number;
  readonly seeds: number;
  readonly stopOnFlags: boolean;
  /** Planned time of a part in any unit, > 0; a function of the part and its candidate alone. */
  readonly plannedTime: (part: Part, chosen: Chosen) => number;
  /** Seed of forks. */
  readonly seed: number;
  /** Probability that a fork draws a parameter anew. */
  readonly resample: number;
  /** Ids of a candidate's trials by seed, or why it can't be one. */
  readonly trialsOf: (
    assignments: readonly { readonly path: string; readonly value: unknown }[],
    origin?: { readonly trials: readonly string[]; readonly rung: number },
  ) => readonly string[] | { readonly refused: string };
  /** Candidates chosen before, which are not asked of the sampler again. */
  readonly recorded?: readonly Chosen[];
}

interface Lane {
  readonly part: Part;
  readonly endsAt: number;
}

interface Candidate {
  readonly chosen: Chosen;
  state: CandidateState;
  reason: string;
  rung: number;
  /** Rung that it was measured on last. */
  measuredRung: number;
  /** Outcomes on the current rung by seed. */
  outcomes: (Outcome | undefined)[];
  open: number;
}

/** Suggestions in a row that may be refused before the space counts as exhausted. */
const MOST_ATTEMPTS = 2_000;
/** Points near a parent's that may be refused before it gets no fork. */
const MOST_FORK_ATTEMPTS = 200;
/** Keeps the draws of forks apart from those of samplers with the same seed. */
const PERTURBATIONS = 0x70657274;

/** See the file's header. */
export class Planner {
  readonly #options: PlannerOptions;
  readonly #candidates: Candidate[] = [];
  readonly #trials = new Set<string>();
  readonly #observations: Observation[] = [];
  /** Position in the observations by candidate. */
  readonly #observed = new Map<number, number>();
  readonly #lanes: (Lane | undefined)[];
  readonly #due: Part[] = [];
  /** Arrived and not counted yet. */
  readonly #arrived = new Map<string, Outcome>();
  /** Throughput mode: parts in the order of their arrival. */
  readonly #arrivals: string[] = [];
  readonly #hash = createHash('sha256');
  #now = 0;
  #refused = 0;
  #exhausted = false;
  #budget: number;

  constructor(options: PlannerOptions) {
    this.#options = options;
    this.#budget = options.budget;
    this.#lanes = Array.from({ length: options.lanes }, () => undefined);
  }

  get candidates(): readonly CandidateStatus[] {
    return this.#candidates.map((candidate) => this.status(candidate.chosen.candidate));
  }

  /** How many candidates there are; `candidates.length` without listing them. */
  get count(): number {
    return this.#candidates.length;
  }

  status(candidate: number): CandidateStatus {
    const { chosen, state, reason, rung } = this.#candidate(candidate);
    return { ...chosen, state, reason, rung };
  }

  /** True when no work is left and none can come. */
  get finished(): boolean {
    return this.#due.length === 0 && this.#lanes.every((lane) => lane === undefined);
  }

  /** The space has no further candidates. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  /** SHA-256 over all decisions and counted outcomes in their order. */
  get decisionsSha256(): string {
    return this.#hash.copy().digest('hex');
  }

  /** More candidates. Raising the budget in the middle gives the same sweep as a higher one from the beginning only where nothing has waited for its end. */
  extend(budget: number): void {
    this.#budget = Math.max(this.#budget, budget);
  }

  /** Candidates of the sweep at most. */
  get budget(): number {
    return this.#budget;
  }

  /** True when no new candidates are wanted. */
  get limited(): boolean {
    return this.#candidates.length >= this.#budget;
  }

  /** No new candidates. */
  limit(): void {
    this.#budget = this.#candidates.length;
  }

  /** An outcome has arrived; each part's first one counts. */
  report(part: Part, outcome: Outcome): void {
    const key = keyOf(part);
    if (this.#arrived.has(key)) return;
    this.#arrived.set(key, outcome);
    this.#arrivals.push(key);
  }

  /**
   * Goes on as far as the outcomes allow.
   * @returns new candidates and the parts that are due from now on, in the order of the decisions
   * @throws DeepDefenseError SWEEP_SPACE_EMPTY when not one valid point is found
   */
  advance(): { readonly chosen: readonly Chosen[]; readonly parts: readonly Part[] } {
    const chosen: Chosen[] = [];
    const parts: Part[] = [];
    for (;;) {
      this.#fillLanes(chosen, parts);
      const lane = this.#nextToEnd();
      const ended = lane === undefined ? undefined : this.#lanes[lane];
      if (lane === undefined || ended === undefined) return { chosen, parts };
      const key = keyOf(ended.part);
      const outcome = this.#arrived.get(key);
      if (outcome === undefined) return { chosen, parts };
      this.#arrived.delete(key);
      this.#lanes[lane] = undefined;
      this.#now = ended.endsAt;
      this.#count(ended.part, outcome);
    }
  }

  #fillLanes(chosen: Chosen[], parts: Part[]): void {
    for (let lane = 0; lane < this.#lanes.length; lane++) {
      if (this.#lanes[lane] !== undefined) continue;
      if (this.#due.length === 0) this.#decide(chosen);
      const part = this.#due.shift();
      if (part === undefined) return;
      const time = this.#options.plannedTime(part, this.#candidate(part.candidate).chosen);
      this.#lanes[lane] = { part, endsAt: this.#now + time };
      parts.push(part);
    }
  }

  /** The lane whose part counts next. */
  #nextToEnd(): number | undefined {
    const arrived = this.#options.mode === 'throughput' ? this.#arrivals.shift() : undefined;
    let next: number | undefined;
    for (const [index, lane] of this.#lanes.entries()) {
      if (lane === undefined) continue;
      if (this.#options.mode === 'throughput') {
        if (keyOf(lane.part) === arrived) return index;
      } else if (next === undefined || lane.endsAt < (this.#lanes[next] as Lane).endsAt) next = index;
    }
    return next;
  }

  /** Asks the scheduler what to do with a free lane. */
  #decide(chosen: Chosen[]): void {
    const { scheduler } = this.#options;
    let [mayStart, mayFork] = [!this.limited && !this.#exhausted, !this.limited];
    for (;;) {
      const decision = scheduler.next(mayStart, mayFork);
      if (decision.kind === 'wait') return;
      if (decision.kind === 'promote') {
        this.#send(decision.candidate, decision.rung);
        return;
      }
      const next = decision.kind === 'new' ? this.#choose() : this.#fork(decision);
      if (next !== undefined) {
        chosen.push(next);
        scheduler.started(next.candidate, decision.rung);
        this.#send(next.candidate, decision.rung);
        return;
      }
      if (decision.kind === 'new') [this.#exhausted, mayStart] = [true, false];
      else mayFork = false;
    }
  }

  /** A candidate with the weights of another one and parameters near its, in place of a third; undefined when no such point is new and valid. */
  #fork({ parent, rung, replaces }: Extract<Decision, { kind: 'fork' }>): Chosen | undefined {
    const { space, seed, resample, trialsOf, recorded } = this.#options;
    const candidate = this.#candidates.length;
    const before = this.#candidate(parent).chosen;
    const origin = { trials: before.trials, rung: rung - 1 };
    let found = recorded?.[candidate];
    for (let attempt = 0; attempt < MOST_FORK_ATTEMPTS && found === undefined; attempt++) {
      const point = perturbPoint(space.coordinates, before.point, new Random('sweep', seed, PERTURBATIONS, candidate, attempt), resample);
      const decoded = space.decode(point);
      if ('refused' in decoded) continue;
      const trials = trialsOf(decoded.assignments, origin);
      if ('refused' in trials || trials.some((trial) => this.#trials.has(trial))) continue;
      const { parameters } = decoded;
      found = { candidate, point, parameters, trials, refused: this.#refused, parent: { candidate: parent, rung: rung - 1 } };
    }
    if (found === undefined) return undefined;
    const replaced = this.#candidate(replaces);
    if (replaced.state === 'paused')
      [replaced.state, replaced.reason] = ['stopped', `replaced by candidate ${candidate}, a fork of candidate ${parent}`];
    this.#note('replaced', replaces, candidate);
    return this.#add(found);
  }

  /** A candidate that is new and inside the constraints. */
  #choose(): Chosen | undefined {
    const { space, sampler, trialsOf, recorded } = this.#options;
    const candidate = this.#candidates.length;
    const known = recorded?.[candidate];
    if (known !== undefined) {
      this.#refused = known.refused;
      return this.#add(known);
    }
    let lastRefusal = '';
    let repeated = false;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const point = sampler.suggest({
        candidate,
        attempt: this.#refused,
        observations: this.#observations,
        pending: this.#pending(),
      });
      if (point === undefined) break;
      const decoded = space.decode(point);
      const trials = 'refused' in decoded ? decoded : trialsOf(decoded.assignments);
      if ('refused' in trials) lastRefusal = trials.refused;
      else if (trials.some((trial) => this.#trials.has(trial))) repeated = true;
      else if (!('refused' in decoded))
        return this.#add({ candidate, point, parameters: decoded.parameters, trials, refused: this.#refused });
      this.#refused += 1;
    }
    if (candidate === 0 && !repeated) throw spaceEmpty(lastRefusal);
    return undefined;
  }

  #add(chosen: Chosen): Chosen {
    for (const trial of chosen.trials) this.#trials.add(trial);
    const measuredRung = chosen.parent?.rung ?? -1;
    this.#candidates.push({ chosen, state: 'running', reason: '', rung: -1, measuredRung, outcomes: [], open: 0 });
    this.#note('chosen', chosen.candidate, chosen.trials);
    return chosen;
  }

  /** All trials of a candidate go on to a rung. */
  #send(index: number, rung: number): void {
    const candidate = this.#candidate(index);
    const { seeds } = this.#options;
    candidate.state = 'running';
    candidate.rung = rung;
    candidate.outcomes = Array.from({ length: seeds }, () => undefined);
    candidate.open = seeds;
    this.#note('sent', index, rung);
    for (let seedIndex = 0; seedIndex < seeds; seedIndex++)
      this.#due.push({ candidate: index, seedIndex, rung, fromRung: candidate.measuredRung });
  }

  /** An outcome counts now. */
  #count(part: Part, outcome: Outcome): void {
    const candidate = this.#candidate(part.candidate);
    this.#note('measured', keyOf(part), outcome.losses ?? null, outcome.flags);
    candidate.outcomes[part.seedIndex] = outcome;
    candidate.open -= 1;
    if (candidate.open > 0) return;
    const outcomes = candidate.outcomes as Outcome[];
    const flags = outcomes.flatMap((each) => each.flags);
    const isMasked = this.#options.stopOnFlags && flags.length > 0;
    const mean = meanLosses(outcomes);
    // Figures that aren't believed lead nobody.
    const losses = isMasked ? undefined : mean;
    candidate.measuredRung = part.rung;
    this.#observe({ candidate: part.candidate, point: candidate.chosen.point, losses, rung: part.rung });
    const verdict = this.#options.scheduler.measured({ candidate: part.candidate, losses }, part.rung);
    if (mean === undefined) [candidate.state, candidate.reason] = ['failed', 'a trial failed'];
    else if (isMasked) [candidate.state, candidate.reason] = ['stopped', flags.join('; ')];
    else if (verdict.kind === 'continue') this.#send(part.candidate, part.rung + 1);
    else if (verdict.kind === 'stop') [candidate.state, candidate.reason] = ['stopped', verdict.reason];
    else candidate.state = verdict.kind === 'complete' ? 'completed' : 'paused';
    this.#note(candidate.state, part.candidate);
  }

  #observe(observation: Observation): void {
    const known = this.#observed.get(observation.candidate);
    if (known === undefined) {
      this.#observed.set(observation.candidate, this.#observations.length);
      this.#observations.push(observation);
    } else this.#observations[known] = observation;
  }

  #pending(): Point[] {
    const numbers = new Set(
      [...this.#lanes, ...this.#due.map((part) => ({ part }))].flatMap((lane) => (lane === undefined ? [] : [lane.part.candidate])),
    );
    return [...numbers]
      .filter((candidate) => !this.#observed.has(candidate))
      .sort((a, b) => a - b)
      .map((candidate) => this.#candidate(candidate).chosen.point);
  }

  #candidate(index: number): Candidate {
    return this.#candidates[index] as Candidate;
  }

  #note(...decision: readonly unknown[]): void {
    this.#hash.update(`${JSON.stringify(decision)}\n`);
  }
}

/** Name of a part inside its sweep. */
export function keyOf({ candidate, seedIndex, rung }: Part): string {
  return `${candidate}.${seedIndex}.${rung}`;
}

function meanLosses(outcomes: readonly Outcome[]): readonly number[] | undefined {
  const all = outcomes.map(({ losses }) => losses);
  const [first] = all;
  if (first === undefined || all.includes(undefined)) return undefined;
  return first.map((_, objective) => all.reduce((sum, losses) => sum + (losses?.[objective] as number), 0) / all.length);
}

function spaceEmpty(refusal: string): DeepDefenseError {
  return new DeepDefenseError('SWEEP_SPACE_EMPTY', {
    what: `the space has no valid point: ${MOST_ATTEMPTS} were tried`,
    expected: 'points that satisfy the constraints and make a valid training config',
    got: refusal,
    todo: 'loosen the constraints, or correct the space',
  });
}
