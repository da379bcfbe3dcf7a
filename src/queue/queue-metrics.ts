/** @file The metrics that a queue keeps of its claims. */
import type { SweepMetrics } from '../telemetry/index.ts';

export type QueueMetrics = Pick<SweepMetrics, 'sweepClaims' | 'sweepRedeliveries' | 'sweepStaleClaims'>;
/** The part of a task's record that is counted. */
interface Counted {
  readonly state: string;
  readonly epoch: number;
  readonly errors: number;
  readonly preemptions: number;
  readonly end?: { readonly kind: string };
}

/** How a claim ended. */
export type ClaimOutcome = 'committed' | 'failed' | 'released' | 'lost';

/** Counts what a change of a task's record says of its claims. */
export function countChange(metrics: QueueMetrics | undefined, record: Counted, before: Counted | undefined): void {
  if (metrics === undefined || before === undefined) return;
  if (record.epoch > before.epoch && before.epoch > 0) metrics.sweepRedeliveries.inc();
  if (before.state !== 'claimed' || (record.state === 'claimed' && record.epoch === before.epoch)) return;
  metrics.sweepClaims.inc({ outcome: outcomeOf(record, before) });
}

function outcomeOf(record: Counted, before: Counted): ClaimOutcome {
  if (record.preemptions > before.preemptions) return 'lost';
  if (record.end?.kind === 'result') return 'committed';
  return record.errors > before.errors ? 'failed' : 'released';
}
