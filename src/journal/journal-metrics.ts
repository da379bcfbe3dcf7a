/** @file The metrics that a journal keeps of itself. */
import type { SweepMetrics } from '../telemetry/index.ts';

/** Coordinators of runs have the same. */
export type JournalMetrics = Pick<SweepMetrics, 'journalLines' | 'journalBytes' | 'journalSequence' | 'journalSyncSeconds'>;

/** A line was appended. */
export function countLine(metrics: JournalMetrics | undefined, line: string, sequence: number): void {
  metrics?.journalLines.inc();
  metrics?.journalBytes.inc(Buffer.byteLength(line));
  metrics?.journalSequence.set(sequence);
}

/** Does what makes lines durable, and measures it. */
export async function timedSync<T>(metrics: JournalMetrics | undefined, sync: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await sync();
  metrics?.journalSyncSeconds.observe((performance.now() - startMs) / 1000);
  return result;
}
