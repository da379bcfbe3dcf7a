/**
 * @file The journal of a run as a file of JSON lines. Each line carries a sequence number and a SHA-256 that covers the line and the
 * hash of the line before, so that neither a torn write nor a later change goes unnoticed.
 */
import { type Clock, systemClock } from '../core/index.ts';
import type { JournalEvent } from './events.ts';
import type { EventLog } from './event-log.ts';
import { openBytes } from './journal-bytes.ts';
import { checkJournalFormat } from './journal-format.ts';
import { type JournalDisk, type JournalFile, storageError, systemDisk } from './journal-disk.ts';
import { countLine, type JournalMetrics, timedSync } from './journal-metrics.ts';
import type { JournalContent, JournalRecord } from './journal-record.ts';
import { LONGEST_LINE_BYTES, readLines } from './line-reader.ts';
import { chain, GENESIS, sealed } from './seal.ts';
import { tooLarge } from './too-large.ts';

export type { JournalDisk, JournalFile } from './journal-disk.ts';
export type { CutTail, JournalContent, JournalRecord } from './journal-record.ts';

/**
 * When lines are forced to the disk: `always`; `important` (default) = all but step-committed, because a resume starts from a
 * checkpoint and checkpoints are important; `never`. A killed process loses nothing in any case, only a machine that stops does.
 */
export type FsyncPolicy = 'always' | 'important' | 'never';

/** How a journal is read; for tests. */
export interface ReadOptions {
  /** Default: the machine's. */
  readonly disk?: JournalDisk;
  /** What is read and checked at once. */
  readonly blockBytes?: number;
  /** Longest journal that is kept in memory; lines of a longer one are read again when they are decoded. */
  readonly mostHeldBytes?: number;
}

export interface FileJournalOptions extends ReadOptions {
  readonly fsync?: FsyncPolicy;
  readonly clock?: Clock;
  readonly metrics?: JournalMetrics | undefined;
}

/**
 * Reads a journal up to its last good line; the file stays as it is. A million lines take some seconds and 200 MB, however long
 * they are.
 * @throws DeepDefenseError STORAGE_FAILED when the file can't be read; FORMAT_NEWER
 */
export async function readJournal<Event extends { readonly type: string } = JournalEvent>(
  path: string,
  { disk = systemDisk, blockBytes, mostHeldBytes }: ReadOptions = {},
): Promise<JournalContent<Event>> {
  try {
    const bytes = await openBytes(path, disk, mostHeldBytes);
    try {
      const { records, cut } = await readLines<Event>(path, bytes, blockBytes);
      checkJournalFormat(path, records[0]);
      return { records, cut };
    } finally {
      await bytes.close();
    }
  } catch (cause) {
    throw storageError('read', path, cause);
  }
}

/** Appends events to a file; one writer at a time. */
export class FileJournal<Event extends { readonly type: string } = JournalEvent> implements EventLog<Event> {
  readonly path: string;
  readonly #handle: JournalFile;
  readonly #fsync: FsyncPolicy;
  readonly #clock: Clock;
  readonly #metrics: JournalMetrics | undefined;
  #sequence: number;
  #hash: string;
  /** Appends run one after the other, in the order of the calls. */
  #last: Promise<unknown> = Promise.resolve();
  #failed = false;

  private constructor(
    path: string,
    handle: JournalFile,
    last: { readonly sequence: number; readonly hash: string } | undefined,
    { fsync = 'important', clock = systemClock, metrics }: FileJournalOptions,
  ) {
    this.path = path;
    this.#handle = handle;
    this.#fsync = fsync;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#sequence = last?.sequence ?? 0;
    this.#hash = last?.hash ?? GENESIS;
  }

  /**
   * Opens a journal for appending and makes it when missing. A torn tail is cut off and kept beside the file as
   * `<path>.cut-<sequence>`, so that nothing is lost for a diagnosis; the caller should log `cut`.
   * @throws DeepDefenseError STORAGE_FAILED; FORMAT_NEWER, which leaves the file as it was
   */
  static async open<Event extends { readonly type: string } = JournalEvent>(
    path: string,
    options: FileJournalOptions = {},
  ): Promise<JournalContent<Event> & { readonly journal: FileJournal<Event> }> {
    try {
      const { disk = systemDisk, blockBytes, mostHeldBytes } = options;
      const handle = await disk.openForAppend(path);
      const bytes = await openBytes(path, disk, mostHeldBytes);
      try {
        const { records, cut, goodBytes } = await readLines<Event>(path, bytes, blockBytes);
        checkJournalFormat(path, records[0]);
        if (cut !== null) {
          await bytes.saveTail(goodBytes, `${path}.cut-${cut.afterSequence}`);
          await disk.truncate(path, goodBytes);
          await handle.sync();
        }
        return { journal: new FileJournal<Event>(path, handle, records.at(-1), options), records, cut };
      } finally {
        await bytes.close();
      }
    } catch (cause) {
      throw storageError('open', path, cause);
    }
  }

  /** Sequence number of the last line; 0 for an empty journal. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Hash of the last line; 64 zeros for an empty journal. */
  get hash(): string {
    return this.#hash;
  }

  /**
   * Appends one event; resolves when it is written and, by the policy, on disk. Numbers in it must be finite.
   * @throws DeepDefenseError STORAGE_FAILED, also for every append after a failed one: the file's end is unknown then;
   * PAYLOAD_TOO_LARGE, which leaves the journal as it was.
   */
  append(event: Event): Promise<JournalRecord<Event>> {
    const appended = this.#last.then(() => this.#write(event));
    this.#last = appended.catch(() => {});
    return appended;
  }

  /**
   * Waits for pending appends and forces them to disk, unless the policy is `never`.
   * @throws DeepDefenseError STORAGE_FAILED, also when an earlier append has failed.
   */
  async sync(): Promise<void> {
    await this.#last;
    if (this.#failed) throw storageError('append to', this.path, new Error('an earlier write failed'));
    if (this.#fsync === 'never') return;
    try {
      await timedSync(this.#metrics, () => this.#handle.datasync());
    } catch (cause) {
      this.#failed = true;
      throw storageError('append to', this.path, cause);
    }
  }

  /** Waits for pending appends, forces them to disk and closes the file. */
  async close(): Promise<void> {
    await this.#last;
    if (this.#fsync !== 'never') await this.#handle.sync();
    await this.#handle.close();
  }

  async #write(event: Event): Promise<JournalRecord<Event>> {
    if (this.#failed) throw storageError('append to', this.path, new Error('an earlier write failed'));
    const sequence = this.#sequence + 1;
    const at = new Date(this.#clock.nowMs()).toISOString();
    const body = JSON.stringify({ sequence, at, event });
    const hash = chain(this.#hash, body);
    const line = sealed(body, hash);
    // A reader would take it for damage. A character has 3 bytes at most.
    if (line.length * 3 > LONGEST_LINE_BYTES && Buffer.byteLength(line) > LONGEST_LINE_BYTES) {
      throw tooLarge(`an event "${event.type}" for the journal "${this.path}"`, Buffer.byteLength(line), LONGEST_LINE_BYTES);
    }
    try {
      await this.#handle.appendFile(line);
      if (this.#fsync === 'always' || (this.#fsync === 'important' && event.type !== 'step-committed'))
        await timedSync(this.#metrics, () => this.#handle.datasync());
    } catch (cause) {
      this.#failed = true;
      throw storageError('append to', this.path, cause);
    }
    this.#sequence = sequence;
    this.#hash = hash;
    countLine(this.#metrics, line, sequence);
    return { sequence, at, event, hash };
  }
}
