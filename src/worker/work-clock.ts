/** @file Where the time of a worker of sweeps goes. */
import type { SweepWorkerMetrics } from '../telemetry/index.ts';

/** What the worker does: see deepdefense_sweep_worker_seconds_total. */
export type WorkState = 'idle' | 'starting' | 'training' | 'attacking' | 'committing';
/** How a part of a trial ended here. */
export type TrialOutcome = 'measured' | 'diverged' | 'failed' | 'released' | 'lost';

/** Keeps the metrics of one worker that does one task at a time. */
export class WorkClock {
  readonly #metrics: SweepWorkerMetrics;
  readonly #nowMs: () => number;
  #state: WorkState = 'idle';
  #sinceMs: number;
  #claimedMs: number | undefined;
  #waitingMs: number;

  /** @param nowMs monotonic; default performance.now */
  constructor(metrics: SweepWorkerMetrics, nowMs: () => number = () => performance.now()) {
    this.#metrics = metrics;
    this.#nowMs = nowMs;
    this.#sinceMs = nowMs();
    this.#waitingMs = this.#sinceMs;
  }

  enter(state: WorkState): void {
    this.#account();
    this.#state = state;
  }

  /** A part of a trial was claimed. */
  claimed(): void {
    this.enter('starting');
    this.#claimedMs = this.#sinceMs;
    this.#metrics.sweepWorkerClaimSeconds.observe((this.#sinceMs - this.#waitingMs) / 1000);
  }

  /** It is over here. */
  ended(outcome: TrialOutcome): void {
    this.enter('idle');
    this.#metrics.sweepWorkerTrials.inc({ outcome });
    if (this.#claimedMs !== undefined && (outcome === 'measured' || outcome === 'diverged'))
      this.#metrics.sweepWorkerTrialSeconds.observe({}, (this.#sinceMs - this.#claimedMs) / 1000);
    this.#claimedMs = undefined;
    this.#waitingMs = this.#sinceMs;
  }

  /** Sets what depends on the time of a scrape. */
  update(): void {
    this.#account();
    this.#metrics.sweepWorkerCurrentSeconds.set(this.#claimedMs === undefined ? 0 : (this.#sinceMs - this.#claimedMs) / 1000);
  }

  #account(): void {
    const nowMs = this.#nowMs();
    this.#metrics.sweepWorkerSeconds.inc({ state: this.#state }, (nowMs - this.#sinceMs) / 1000);
    this.#sinceMs = nowMs;
  }
}
