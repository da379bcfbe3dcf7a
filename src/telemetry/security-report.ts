/** @file Security events as a metric, and as log lines that peers can't make to flood the log. */
import { type ReportSecurityEvent, SECURITY_EVENTS, type SecurityEvent } from '../security/index.ts';
import { LogThrottle } from './log-throttle.ts';
import type { Logger } from './logger.ts';
import type { CoordinatorMetrics, SweepMetrics } from './metrics.ts';

/** Longest text from a peer in a line. */
const MOST_CHARACTERS = 200;

/** All kinds are there from the start, at 0, so that the first event is a rise. @param throttle default: of its own */
export function createSecurityReport(
  { securityEvents }: Pick<CoordinatorMetrics | SweepMetrics, 'securityEvents'>,
  logger: Pick<Logger, 'warn'>,
  throttle: LogThrottle<SecurityEvent> = new LogThrottle(),
): ReportSecurityEvent {
  for (const kind of Object.keys(SECURITY_EVENTS)) securityEvents.inc({ kind }, 0);
  return (event, fields = {}) => {
    securityEvents.inc({ kind: event });
    const more = throttle.line(event);
    if (more !== undefined) logger.warn({ security: event, ...shortened(fields), ...more }, `security: ${SECURITY_EVENTS[event]}`);
  };
}

function shortened(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, typeof value === 'string' ? value.slice(0, MOST_CHARACTERS) : value]),
  );
}
