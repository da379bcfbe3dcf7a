/** @file Where the time of a worker of sweeps goes. */
import { noSpan, noTraces, type SpanAttributes, type SweepWorkerMetrics, type Traces, type TraceSpan } from '../telemetry/index.ts';

/** What the worker does: see deepdefense_sweep_worker_seconds_total. */
export type WorkState = 'idle' | 'starting' | 'training' | 'attacking' | 'committing';
/** How a part of a trial ended here. */
export type TrialOutcome = 'measured' | 'diverged' | 'failed' | 'released' | 'lost';

/** Keeps the metrics of one worker that does one task at a time. */
export class WorkClock {
  readonly #metrics: SweepWorkerMetrics;
  readonly #traces: Traces;
  readonly #nowMs: () => number;
  /** Of the part of a trial that is under way, and of what is done for it now. */
  #trial: TraceSpan = noSpan;
  #doing: TraceSpan = noSpan;
  #state: WorkState = 'idle';
  #sinceMs: number;
  #claimedMs: number | undefined;
  #waitingMs: number;

  /** @param nowMs monotonic; default performance.now */
  constructor(metrics: SweepWorkerMetrics, traces: Traces = noTraces, nowMs: () => number = () => performance.now()) {
    this.#metrics = metrics;
    this.#traces = traces;
    this.#nowMs = nowMs;
    this.#sinceMs = nowMs();
    this.#waitingMs = this.#sinceMs;
  }

  enter(state: WorkState): void {
    this.#account();
    if (state === this.#state) return;
    this.#state = state;
    this.#doing.end();
    this.#doing = this.#trial.child(state);
  }

  /** Trace context of the part of a trial that is under way; undefined when not traced. */
  get traceparent(): string | undefined {
    return this.#trial.traceparent;
  }

  /**
   * A part of a trial was claimed.
   * @param about for its trace
   * @param parent trace context of its measurement; undefined = a trace of its own
   */
  claimed(about: SpanAttributes = {}, parent?: string): void {
    this.#trial = this.#traces.start('trial', about, parent);
    this.#metrics.exemplars.set({ trace_id: this.#trial.traceId });
    this.enter('starting');
    this.#claimedMs = this.#sinceMs;
    this.#metrics.sweepWorkerClaimSeconds.observe((this.#sinceMs - this.#waitingMs) / 1000);
  }

  /** It is over here. */
  ended(outcome: TrialOutcome): void {
    this.enter('idle');
    this.#trial.end(outcome === 'failed' || outcome === 'diverged' ? { error: outcome } : {});
    this.#trial = noSpan;
    this.#doing = noSpan;
    this.#metrics.sweepWorkerTrials.inc({ outcome });
    if (this.#claimedMs !== undefined && (outcome === 'measured' || outcome === 'diverged'))
      this.#metrics.sweepWorkerTrialSeconds.observe({}, (this.#sinceMs - this.#claimedMs) / 1000);
    this.#metrics.exemplars.set({ trace_id: undefined });
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
