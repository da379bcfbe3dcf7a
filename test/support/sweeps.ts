/** @file Sweeps over test functions without workers, queue or disk: measurements arrive in whatever order a test wants. */
import { resolveSweep, type SweepSource } from '../../src/config/index.ts';
import { SweepState } from '../../src/coordinator/index.ts';
import { Random } from '../../src/core/index.ts';
import type { JournalRecord, SweepEvent, TrialMeasured } from '../../src/journal/index.ts';
import { evaluateFunction } from '../../src/sweeps/index.ts';

/** A sweep over the test function branin with three rungs; `overrides` replace keys of the sweep file. */
export function functionSweep(overrides: object = {}): SweepSource {
  const unit = { type: 'float', low: 0, high: 1, points: 5 };
  const sweep = resolveSweep({
    function: 'branin',
    space: { x1: unit, x2: unit },
    objectives: [{ name: 'value' }],
    rungs: [{ epochs: 1 }, { epochs: 3 }, { epochs: 9 }],
    sampler: { name: 'random' },
    scheduler: { name: 'asha' },
    budget: { candidates: 30 },
    lanes: 5,
    ...overrides,
  });
  return { sweep, base: {} };
}

type Due = SweepState['due'][number];

/** What a worker would bring; a little better from rung to rung, and failed where `fails` says so. */
export function measure(state: SweepState, { part, chosen, trial }: Due, fails: (due: Due) => boolean = () => false): TrialMeasured {
  const { candidate, seedIndex, rung } = part;
  const { sweep } = state.source;
  const x = Object.values(chosen.parameters).map(Number);
  const noise = new Random('sweep', seedIndex + 1, candidate, rung).normal() * 0.01;
  const values = evaluateFunction(sweep.function ?? 'branin', x).map((value) => value + noise - rung * 0.001);
  const hasFailed = fails({ part, chosen, trial } as Due);
  return {
    type: 'trial-measured',
    trial,
    candidate,
    seedIndex,
    rung,
    values: hasFailed ? null : values.slice(0, sweep.objectives.length),
    details: {},
    flags: [],
    seconds: 1,
    worker: 'w',
    engine: '',
    epoch: 1,
    ...(hasFailed && { error: { code: 'ENGINE_FAILED', message: 'made up' } }),
  };
}

export interface SimulatedSweep {
  readonly state: SweepState;
  /** As the coordinator would have written it. */
  readonly events: SweepEvent[];
}

/**
 * Runs a sweep to its end with so many workers, each of which takes a random time for a measurement.
 * @param orderSeed of these times
 */
export function runSweep(source: SweepSource, workers: number, orderSeed: number, fails?: (due: Due) => boolean): SimulatedSweep {
  const events: SweepEvent[] = [startedOf(source)];
  const state = SweepState.fresh(source);
  events.push(...choicesOf(state, 0));
  goOn({ state, events }, workers, orderSeed, fails);
  return { state, events };
}

/** Goes on with a sweep to its end, or until so many measurements have been added. */
export function goOn(
  { state, events }: SimulatedSweep,
  workers: number,
  orderSeed: number,
  fails?: (due: Due) => boolean,
  most = Number.POSITIVE_INFINITY,
): void {
  const random = new Random('sweep', 99, orderSeed);
  let busy: { readonly due: Due; readonly endsAt: number }[] = [];
  let now = 0;
  for (let added = 0; added < most; added++) {
    const taken = new Set(busy.map(({ due }) => due.key));
    for (const due of state.due) {
      if (busy.length === workers) break;
      if (!taken.has(due.key)) busy.push({ due, endsAt: now + 0.1 + random.uniform() });
    }
    if (busy.length === 0) return;
    const next = busy.reduce((first, each) => (each.endsAt < first.endsAt ? each : first));
    busy = busy.filter((each) => each !== next);
    now = next.endsAt;
    const known = state.planner.candidates.length;
    const measured = measure(state, next.due, fails);
    events.push(measured);
    state.add(measured);
    state.advance();
    events.push(...choicesOf(state, known));
  }
}

/** The state that a coordinator would find in its journal. */
export function reopened(events: readonly SweepEvent[]): SweepState {
  return SweepState.fromJournal(
    events.map((event, i): JournalRecord<SweepEvent> => ({ sequence: i + 1, at: '2026-01-01T00:00:00.000Z', event, hash: '' })),
  ).state;
}

export function startedOf({ sweep, base }: SweepSource): SweepEvent {
  return {
    type: 'sweep-started',
    sweepId: 'test',
    packageVersion: '0',
    sweep: JSON.parse(JSON.stringify(sweep)) as Record<string, unknown>,
    base,
    datasetName: '',
    datasetHash: '',
  };
}

function choicesOf(state: SweepState, from: number): SweepEvent[] {
  return state.planner.candidates.slice(from).map(({ candidate, point, parameters, trials, refused, parent }) => ({
    type: 'candidate-chosen',
    candidate,
    point,
    parameters,
    trials,
    refused,
    ...(parent !== undefined && { parent }),
  }));
}
