/** @file What a reader gets from a journal. */
import type { JournalEvent } from './events.ts';

/** One line. */
export interface JournalRecord<Event = JournalEvent> {
  /** 1, 2, 3, ... */
  readonly sequence: number;
  /** When it was appended, ISO 8601 in UTC. */
  readonly at: string;
  readonly event: Event;
  /** SHA-256 (hexadecimal) of the previous line's hash, a line feed, and this line without its hash. */
  readonly hash: string;
}

/** What a reader had to leave out at the end of a file. */
export interface CutTail {
  /** Sequence number of the last good line; 0 when there is none. */
  readonly afterSequence: number;
  readonly droppedBytes: number;
  /** Lines begun after the last good one. 1 is what a crash in mid-write leaves; more means damage or a power cut. */
  readonly droppedLines: number;
  readonly reason: string;
  /** True when the only thing wrong is that the file ends in the middle of a line. */
  readonly torn: boolean;
}

export interface JournalContent<Event = JournalEvent> {
  /**
   * The good lines, checked but not yet decoded: `at` and `event` are decoded when they are looked at, those of a long journal from
   * the file, and throw STORAGE_FAILED where it has changed since.
   */
  readonly records: readonly JournalRecord<Event>[];
  /** Null when every line is good. */
  readonly cut: CutTail | null;
}
