/** @file Traces are off unless a receiver is named; only then OpenTelemetry's packages are loaded. */
import { DeepDefenseError } from '../core/index.ts';
import { noTraces, type Traces, type TracesOptions } from './traces.ts';

/** @throws DeepDefenseError USAGE for an endpoint that is no URL */
export async function openTraces(options: TracesOptions): Promise<Traces> {
  const { endpoint } = options;
  if (endpoint === undefined || endpoint === '') return noTraces;
  if (!URL.canParse(endpoint) || !/^https?:/.test(endpoint))
    throw new DeepDefenseError('USAGE', {
      what: 'bad address for traces',
      expected: 'the base of an OTLP/HTTP receiver, for example http://127.0.0.1:4318',
      got: `"${endpoint}"`,
      todo: 'correct --otlp-endpoint, DEEPDEFENSE_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT',
    });
  const { openOtlpTraces } = await import('./otlp-traces.ts');
  return openOtlpTraces({ ...options, endpoint });
}
