/**
 * @file What a coordinator does after its work, where something starts it again whenever it ends (a StatefulSet): it answers probes, serves
 * its result and computes nothing.
 */
import { once } from 'node:events';
import { createMetrics, type HttpServerOptions, startHttpServer } from '../telemetry/index.ts';
import type { CommandContext } from './context.ts';

export interface StayOptions {
  readonly context: CommandContext;
  readonly host: string;
  /** Of /metrics, /livez, /readyz and /result; 0 = any free port. */
  readonly httpPort: number;
  /** How the work ended, one line: what /readyz says. */
  readonly reason: string;
  /** What /result shows; undefined when the work has failed for good, which makes /readyz answer 503. */
  readonly result: unknown;
  /** What /metrics shows; default: a process without work. */
  readonly scrape?: HttpServerOptions['scrape'] | undefined;
}

/**
 * Serves what has come out until SIGTERM or SIGINT.
 * @throws DeepDefenseError PORT_IN_USE, CONNECT_FAILED
 */
export async function stay({ context, host, httpPort, reason, result, scrape = idle() }: StayOptions): Promise<void> {
  const readiness = () => ({ ready: result !== undefined, reason });
  const http = await startHttpServer({ host, port: httpPort, scrape, readiness, result });
  context.notice(`${reason}; staying on ${http.url} until told to leave`);
  try {
    await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  } finally {
    await http.close();
  }
}

/** Metrics of a process without work. */
function idle(): HttpServerOptions['scrape'] {
  const metrics = createMetrics('sweep');
  return (accept) => metrics.scrape(accept);
}
