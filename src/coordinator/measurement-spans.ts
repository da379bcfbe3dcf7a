/** @file Traces of a sweep: one per measurement, from the moment that it waits for a worker until it is in the journal. */
import { noTraces, type Traces, type TraceSpan } from '../telemetry/index.ts';

/** What is measured. */
export interface MeasurementAttributes {
  readonly trial: string;
  readonly candidate: number;
  readonly rung: number;
}

/** Begins and ends the span of each task; without traces it keeps nothing. */
export class MeasurementSpans {
  readonly #sweep: string;
  readonly #traces: Traces;
  /** By task. Those of earlier coordinators have no end. */
  readonly #open = new Map<string, TraceSpan>();

  constructor(sweep: string, traces: Traces = noTraces) {
    this.#sweep = sweep;
    this.#traces = traces;
  }

  /** @returns W3C trace context for the worker that will take the task; undefined when not traced */
  begin(task: string, { trial, candidate, rung }: MeasurementAttributes): string | undefined {
    if (this.#traces === noTraces) return undefined;
    const span = this.#traces.start('measurement', { sweep: this.#sweep, trial: trial.slice(0, 16), candidate, rung });
    this.#open.set(task, span);
    return span.traceparent;
  }

  /** The task was there already, with the trace context of whoever published it. */
  forget(task: string): void {
    this.#open.delete(task);
  }

  /** @param error why the measurement failed */
  end(task: string, error?: unknown): void {
    this.#open.get(task)?.end({ error });
    this.#open.delete(task);
  }

  /** @param reason why the others are not measured here */
  close(reason: string): void {
    for (const task of [...this.#open.keys()]) this.end(task, reason);
  }
}
