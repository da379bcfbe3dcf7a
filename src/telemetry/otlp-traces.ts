/** @file Traces that go to an OTLP/HTTP receiver as JSON. The only file that imports OpenTelemetry; loaded when traces are on. */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { type Context, diag, DiagLogLevel, ROOT_CONTEXT, type Span, SpanStatusCode, trace, type Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { PACKAGE_VERSION } from '../core/index.ts';
import { noSpan, type SpanAttributes, type SpanTimes, type Traces, type TracesOptions, type TraceSpan } from './traces.ts';

/** A receiver that is away must not hold up the end of a process for longer. */
const CLOSE_MS = 3_000;
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

export function openOtlpTraces({ endpoint, stepRatio, service, onProblem }: TracesOptions & { readonly endpoint: string }): Traces {
  const tell = (message: string): void => onProblem(message);
  const silent = (): void => {};
  diag.setLogger({ error: tell, warn: tell, info: silent, debug: silent, verbose: silent }, DiagLogLevel.WARN);
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.version': PACKAGE_VERSION,
      'service.instance.id': `${hostname()}-${process.pid}`,
    }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` }))],
  });
  const tracer = provider.getTracer('deepdefense', PACKAGE_VERSION);
  const start = (name: string, attributes: SpanAttributes, context: Context, { startMs }: SpanTimes = {}): TraceSpan =>
    new OtlpSpan(
      tracer,
      tracer.startSpan(name, { attributes: named(attributes), ...(startMs !== undefined && { startTime: startMs }) }, context),
    );
  return {
    start: (name, attributes, parent, times) => {
      if (parent === undefined) return start(name, attributes, ROOT_CONTEXT, times);
      const context = contextOf(parent);
      return context === undefined ? noSpan : start(name, attributes, context, times);
    },
    sample: (name, attributes) => (Math.random() < stepRatio ? start(name, attributes(), ROOT_CONTEXT) : noSpan),
    close: () => Promise.race([provider.shutdown().catch(tell), sleep(CLOSE_MS, undefined, { ref: false })]),
  };
}

/** Where a span of another process is the parent. */
function contextOf(traceparent: string): Context | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true });
}

/** Attributes under our own prefix; undefined ones are left out. */
function named(attributes: SpanAttributes): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) => (value === undefined ? [] : [[`deepdefense.${name}`, value]])),
  );
}

class OtlpSpan implements TraceSpan {
  readonly #tracer: Tracer;
  readonly #span: Span;

  constructor(tracer: Tracer, span: Span) {
    this.#tracer = tracer;
    this.#span = span;
  }

  get traceId(): string {
    return this.#span.spanContext().traceId;
  }

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.#span.spanContext();
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  }

  child(name: string, attributes: SpanAttributes = {}, { startMs }: SpanTimes = {}): OtlpSpan {
    const options = { attributes: named(attributes), ...(startMs !== undefined && { startTime: startMs }) };
    return new OtlpSpan(this.#tracer, this.#tracer.startSpan(name, options, trace.setSpan(ROOT_CONTEXT, this.#span)));
  }

  part(name: string, { startMs, endMs }: Required<SpanTimes>, attributes: SpanAttributes = {}): void {
    this.child(name, attributes, { startMs }).end({ endMs });
  }

  end({ endMs, error }: { readonly endMs?: number | undefined; readonly error?: unknown } = {}): void {
    if (error !== undefined) this.#span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
    this.#span.end(endMs);
  }
}

function messageOf(error: unknown): string {
  if (typeof error === 'string') return error;
  return error instanceof Error ? error.message : inspect(error);
}
