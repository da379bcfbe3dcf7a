/**
 * @file What a sweep will take, by playing it through with made-up results: how many trials run how far is up to the scheduler, not to what
 * the results are like. Several plays give an interval.
 */
import type { SweepSource } from '../config/index.ts';
import { Random } from '../core/index.ts';
import type { TrialMeasured } from '../journal/index.ts';
import { type DuePart, SweepState } from './sweep-state.ts';

export interface SweepPlanOptions {
  /** Numbers of workers that the finish is wanted for. */
  readonly workers: readonly number[];
  /** Measured: seconds of one worker per million training passes of one image. */
  readonly secondsPerMillionPasses: number;
  /** Measured: seconds that a part takes besides, for start and compilation. */
  readonly secondsPerPart: number;
}

/** Median, and the smallest and largest of the plays. */
export interface Interval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface SweepPlan {
  readonly candidates: number;
  /** Trials measured on each rung, in rising order. */
  readonly measurements: readonly { readonly epochs: number; readonly attacks: readonly string[]; readonly trials: Interval }[];
  readonly workerHours: Interval;
  /** Hours from start to end by number of workers. */
  readonly finish: readonly { readonly workers: number; readonly hours: Interval }[];
}

const PLAYS = 15;
/** Parts take this much longer or shorter than expected, as a standard deviation of the logarithm. */
const NOISE = 0.2;

export function planSweep(source: SweepSource, options: SweepPlanOptions): SweepPlan {
  const played = playable(source);
  const plays = options.workers.map((workers) => Array.from({ length: PLAYS }, (_, seed) => play(played, workers, seed, options)));
  const first = plays[0] ?? [];
  const rungs = SweepState.fresh(played).trials.rungs;
  return {
    candidates: Math.max(...first.map(({ candidates }) => candidates)),
    measurements: rungs.map(({ epochs, attacks }, rung) => ({
      epochs,
      attacks,
      trials: intervalOf(first.map(({ parts }) => parts[rung] as number)),
    })),
    workerHours: intervalOf(first.map(({ workerSeconds }) => workerSeconds / 3600)),
    finish: options.workers.map((workers, i) => ({ workers, hours: intervalOf((plays[i] ?? []).map(({ seconds }) => seconds / 3600)) })),
  };
}

/** What a whole sweep is expected to take by one play, in million passes of one image (`Trials.plannedTime`). */
export function expectedWork(source: SweepSource): number {
  return play(playable(source), 1, 0, { secondsPerMillionPasses: 1, secondsPerPart: 0 }).planned;
}

/** Which points are drawn doesn't matter here, and models of them would take the most time. */
function playable(source: SweepSource): SweepSource {
  if (source.sweep.sampler.name === 'grid') return source;
  return { ...source, sweep: { ...source.sweep, sampler: { ...source.sweep.sampler, name: 'random' } } };
}

interface Play {
  readonly candidates: number;
  readonly parts: readonly number[];
  readonly workerSeconds: number;
  readonly seconds: number;
  /** Million passes of all parts. */
  readonly planned: number;
}

type Speed = Pick<SweepPlanOptions, 'secondsPerMillionPasses' | 'secondsPerPart'>;

function play(source: SweepSource, workers: number, seed: number, { secondsPerMillionPasses, secondsPerPart }: Speed): Play {
  const random = new Random('sweep', seed, 1);
  const state = SweepState.fresh(source);
  const parts = state.trials.rungs.map(() => 0);
  const waiting: DuePart[] = [...state.due];
  const busy: { readonly due: DuePart; readonly endsAt: number; readonly seconds: number }[] = [];
  let [now, workerSeconds, planned] = [0, 0, 0];
  for (;;) {
    while (busy.length < workers && waiting.length > 0) {
      const due = waiting.shift() as DuePart;
      const passes = state.trials.plannedTime(due.part, due.chosen);
      planned += passes;
      const expected = passes * secondsPerMillionPasses + secondsPerPart;
      const seconds = expected * Math.exp(NOISE * random.normal());
      busy.push({ due, endsAt: now + seconds, seconds });
    }
    const next = busy.reduce<(typeof busy)[number] | undefined>(
      (first, each) => (first === undefined || each.endsAt < first.endsAt ? each : first),
      undefined,
    );
    if (next === undefined) return { candidates: state.planner.count, parts, workerSeconds, seconds: now, planned };
    busy.splice(busy.indexOf(next), 1);
    now = next.endsAt;
    workerSeconds += next.seconds;
    parts[next.due.part.rung] = (parts[next.due.part.rung] as number) + 1;
    state.add(madeUp(next.due, source, random));
    waiting.push(...state.advance().due);
  }
}

function madeUp({ part, trial }: DuePart, { sweep }: SweepSource, random: Random): TrialMeasured {
  const { candidate, seedIndex, rung } = part;
  const values = sweep.objectives.map(() => random.uniform());
  return {
    type: 'trial-measured',
    trial,
    candidate,
    seedIndex,
    rung,
    values,
    details: {},
    flags: [],
    seconds: 0,
    worker: '',
    engine: '',
    epoch: 0,
  };
}

function intervalOf(values: readonly number[]): Interval {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: sorted[sorted.length >> 1] as number, low: sorted[0] as number, high: sorted.at(-1) as number };
}
