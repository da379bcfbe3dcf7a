/** @file The metrics of a sweep: counted as it goes on, or read off its state when somebody asks for them. */
import type { TrialMeasured } from '../journal/index.ts';
import type { QueueCounts } from '../queue/index.ts';
import type { MetricsText, SweepMetrics } from '../telemetry/index.ts';
import type { SweepState } from './sweep-state.ts';

export interface SweepNow {
  /** Undefined = not known now: the figures before stay. */
  readonly queue: QueueCounts | undefined;
  readonly paused: boolean;
  readonly secondsLeft: number | undefined;
}

const STATES = ['running', 'paused', 'stopped', 'completed', 'failed'] as const;

export class SweepObserver {
  readonly #state: SweepState;
  readonly #metrics: SweepMetrics;
  /** By objective and rung. */
  readonly #best = new Map<string, number>();

  constructor(sweepId: string, state: SweepState, metrics: SweepMetrics) {
    this.#state = state;
    this.#metrics = metrics;
    const { sampler, scheduler, mode } = state.source.sweep;
    this.#metrics.sweepInfo.set({ sweep: sweepId, sampler: sampler.name, scheduler: scheduler.name, mode }, 1);
    for (const measured of state.measurements.values()) this.#count(measured);
  }

  /** A new measurement. */
  measured(measured: TrialMeasured): void {
    this.#count(measured);
    this.#metrics.sweepMeasurementSeconds.observe({ rung: measured.rung }, measured.seconds, { trial: measured.trial.slice(0, 16) });
  }

  workerLost(): void {
    this.#metrics.sweepWorkersLost.inc();
  }

  /** @param accept Accept header of the scraper */
  scrape({ queue, paused, secondsLeft }: SweepNow, accept: string): Promise<MetricsText> {
    const { sweepOldestWaiting, sweepCandidates, sweepBudget, sweepTasks, sweepPaused, sweepSecondsLeft } = this.#metrics;
    const { planner } = this.#state;
    const counts = new Map<string, number>();
    for (const { state } of planner.candidates) counts.set(state, (counts.get(state) ?? 0) + 1);
    for (const state of STATES) sweepCandidates.set({ state }, counts.get(state) ?? 0);
    sweepBudget.set(planner.budget);
    if (queue !== undefined) {
      sweepTasks.set({ state: 'waiting' }, queue.waiting);
      sweepTasks.set({ state: 'claimed' }, queue.claimed);
      sweepOldestWaiting.set(queue.oldestWaitingSeconds);
    }
    sweepPaused.set(paused ? 1 : 0);
    sweepSecondsLeft.set(secondsLeft ?? Number.NaN);
    return this.#metrics.scrape(accept);
  }

  #count({ rung, values }: TrialMeasured): void {
    this.#metrics.sweepMeasurements.inc({ rung, outcome: values === null ? 'failed' : 'measured' });
    this.#state.trials.objectives.forEach(({ name, goal }, i) => {
      const value = values?.[i];
      if (value === undefined) return;
      const key = `${name} ${rung}`;
      const before = this.#best.get(key);
      if (before !== undefined && (goal === 'maximize' ? value <= before : value >= before)) return;
      this.#best.set(key, value);
      this.#metrics.sweepBest.set({ objective: name, rung }, value);
    });
  }
}
