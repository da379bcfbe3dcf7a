/** @file Traces of steps and trials across processes, as the rest of the program sees them: off, they do nothing. */

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** Begin and end of a span in milliseconds since the epoch; default now. */
export interface SpanTimes {
  readonly startMs?: number | undefined;
  readonly endMs?: number | undefined;
}

/** An operation that takes time. One that is not sampled does nothing. */
export interface TraceSpan {
  /** W3C trace context for another process; undefined when not sampled. */
  readonly traceparent: string | undefined;
  /** 32 hexadecimal digits; undefined when not sampled. */
  readonly traceId: string | undefined;
  /** A part of it. */
  child(name: string, attributes?: SpanAttributes, times?: SpanTimes): TraceSpan;
  /** A part of it that is over. */
  part(name: string, times: Required<SpanTimes>, attributes?: SpanAttributes): void;
  /** @param error why it failed */
  end(times?: Pick<SpanTimes, 'endMs'> & { readonly error?: unknown }): void;
}

export interface Traces {
  /** A trace of its own, or a part of that of another process. @param parent its traceparent; empty = not sampled there */
  start(name: string, attributes: SpanAttributes, parent?: string, times?: SpanTimes): TraceSpan;
  /** A trace of its own of one of many: the share of them that is wanted is sampled, the others do nothing. */
  sample(name: string, attributes: () => SpanAttributes): TraceSpan;
  /** Sends what is left, for at most a few seconds. */
  close(): Promise<void>;
}

/** Not sampled. */
export const noSpan: TraceSpan = {
  traceparent: undefined,
  traceId: undefined,
  child: () => noSpan,
  part: () => {},
  end: () => {},
};

/** Off. */
export const noTraces: Traces = { start: () => noSpan, sample: () => noSpan, close: async () => {} };

export interface TracesOptions {
  /** Base of an OTLP/HTTP receiver, e.g. `http://127.0.0.1:4318`; undefined = off. */
  readonly endpoint: string | undefined;
  /** Share of steps that are traced, 0..1. */
  readonly stepRatio: number;
  /** `service.name`, e.g. `deepdefense-worker`. */
  readonly service: string;
  /** Told when spans can't be sent. */
  readonly onProblem: (message: string) => void;
}

/** Now, in milliseconds since the epoch, never going back. */
export function epochMs(monotonicMs: number = performance.now()): number {
  return performance.timeOrigin + monotonicMs;
}
