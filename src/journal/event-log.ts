/**
 * @file What a journal is to its writer, wherever it is kept. One conformance suite tests all implementations
 * (test/unit/journal/conformance.ts).
 */
import type { JournalContent, JournalRecord } from './journal-record.ts';

/** Events in their order, each sealed with a hash that covers all before it; one writer at a time. */
export interface EventLog<Event> {
  /** Sequence number of the last event; 0 when there is none. */
  readonly sequence: number;
  /** Hash of the last event; 64 zeros when there is none. */
  readonly hash: string;
  /**
   * Appends one event, after all that were appended before; resolves when it is written. Numbers in it must be finite.
   * @throws DeepDefenseError STORAGE_FAILED, also for every append after a failed one; JOURNAL_FENCED when another writer has appended
   * since this one opened the log, now and for every append from now on; PAYLOAD_TOO_LARGE, which leaves the log as it was
   */
  append(event: Event): Promise<JournalRecord<Event>>;
  /**
   * Waits for pending appends and makes them as durable as the log can.
   * @throws DeepDefenseError when an append has failed
   */
  sync(): Promise<void>;
  /** Waits for pending appends. */
  close(): Promise<void>;
}

/** A log at its opening, with all that stands in it. */
export interface OpenedLog<Event> extends JournalContent<Event> {
  readonly journal: EventLog<Event>;
}
