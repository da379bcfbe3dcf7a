/**
 * @file The journal of a run as a file of JSON lines. Each line carries a sequence number and a SHA-256 that covers the line and the
 * hash of the line before, so that neither a torn write nor a later change goes unnoticed.
 */
import { type FileHandle, mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, DeepDefenseError, sha256, systemClock } from '../core/index.ts';
import type { JournalEvent } from './events.ts';

/** One line. */
export interface JournalRecord {
  /** 1, 2, 3, ... */
  readonly sequence: number;
  /** When it was appended, ISO 8601 in UTC. */
  readonly at: string;
  readonly event: JournalEvent;
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

export interface JournalContent {
  readonly records: readonly JournalRecord[];
  /** Null when every line is good. */
  readonly cut: CutTail | null;
}

/**
 * When lines are forced to the disk: `always`; `important` (default) = all but step-committed, because a resume starts from a
 * checkpoint and checkpoints are important; `never`. A killed process loses nothing in any case, only a machine that stops does.
 */
export type FsyncPolicy = 'always' | 'important' | 'never';

export interface FileJournalOptions {
  readonly fsync?: FsyncPolicy;
  readonly clock?: Clock;
}

const TORN = 'the last line has no end';
/** Hash that the first line follows. */
const GENESIS = '0'.repeat(64);
const HASH_FIELD = /,"hash":"([0-9a-f]{64})"\}$/;

/**
 * Reads a journal up to its last good line; the file stays as it is.
 * @throws DeepDefenseError STORAGE_FAILED when the file can't be read.
 */
export async function readJournal(path: string): Promise<JournalContent> {
  const { records, cut } = parse(await readBytes(path));
  return { records, cut };
}

/** Appends events to a file; one writer at a time. */
export class FileJournal {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #fsync: FsyncPolicy;
  readonly #clock: Clock;
  #sequence: number;
  #hash: string;
  /** Appends run one after the other, in the order of the calls. */
  #last: Promise<unknown> = Promise.resolve();
  #failed = false;

  private constructor(
    path: string,
    handle: FileHandle,
    last: JournalRecord | undefined,
    { fsync = 'important', clock = systemClock }: FileJournalOptions,
  ) {
    this.path = path;
    this.#handle = handle;
    this.#fsync = fsync;
    this.#clock = clock;
    this.#sequence = last?.sequence ?? 0;
    this.#hash = last?.hash ?? GENESIS;
  }

  /**
   * Opens a journal for appending and makes it when missing. A torn tail is cut off and kept beside the file as
   * `<path>.cut-<sequence>`, so that nothing is lost for a diagnosis; the caller should log `cut`.
   * @throws DeepDefenseError STORAGE_FAILED
   */
  static async open(path: string, options: FileJournalOptions = {}): Promise<JournalContent & { readonly journal: FileJournal }> {
    try {
      await mkdir(dirname(path), { recursive: true });
      const handle = await open(path, 'a');
      const bytes = await readBytes(path);
      const { records, cut, goodBytes } = parse(bytes);
      if (cut !== null) {
        await writeFile(`${path}.cut-${cut.afterSequence}`, bytes.subarray(goodBytes));
        await truncate(path, goodBytes);
        await handle.sync();
      }
      return { journal: new FileJournal(path, handle, records.at(-1), options), records, cut };
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
   * @throws DeepDefenseError STORAGE_FAILED, also for every append after a failed one: the file's end is unknown then.
   */
  append(event: JournalEvent): Promise<JournalRecord> {
    const appended = this.#last.then(() => this.#write(event));
    this.#last = appended.catch(() => {});
    return appended;
  }

  /** Waits for pending appends, forces them to disk and closes the file. */
  async close(): Promise<void> {
    await this.#last;
    if (this.#fsync !== 'never') await this.#handle.sync();
    await this.#handle.close();
  }

  async #write(event: JournalEvent): Promise<JournalRecord> {
    if (this.#failed) throw storageError('append to', this.path, new Error('an earlier write failed'));
    const sequence = this.#sequence + 1;
    const at = new Date(this.#clock.nowMs()).toISOString();
    const body = JSON.stringify({ sequence, at, event });
    const hash = chain(this.#hash, body);
    try {
      await this.#handle.appendFile(`${body.slice(0, -1)},"hash":"${hash}"}\n`);
      if (this.#fsync === 'always' || (this.#fsync === 'important' && event.type !== 'step-committed')) await this.#handle.datasync();
    } catch (cause) {
      this.#failed = true;
      throw storageError('append to', this.path, cause);
    }
    this.#sequence = sequence;
    this.#hash = hash;
    return { sequence, at, event, hash };
  }
}

function chain(previousHash: string, body: string): string {
  return sha256(previousHash, '\n', body);
}

function parse(bytes: Buffer): JournalContent & { readonly goodBytes: number } {
  const records: JournalRecord[] = [];
  let start = 0;
  let hash = GENESIS;
  let reason: string | undefined;
  while (start < bytes.length) {
    const end = bytes.indexOf(0x0a, start);
    if (end === -1) {
      reason = TORN;
      break;
    }
    const record = parseLine(bytes.toString('utf8', start, end), hash, records.length + 1);
    if (typeof record === 'string') {
      reason = record;
      break;
    }
    records.push(record);
    hash = record.hash;
    start = end + 1;
  }
  if (reason === undefined) return { records, cut: null, goodBytes: start };
  const rest = bytes.subarray(start);
  const lines = rest
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '').length;
  return {
    records,
    cut: { afterSequence: records.length, droppedBytes: rest.length, droppedLines: lines, reason, torn: reason === TORN },
    goodBytes: start,
  };
}

/** The record, or why the line is none. */
function parseLine(line: string, previousHash: string, sequence: number): JournalRecord | string {
  const hash = HASH_FIELD.exec(line)?.[1];
  if (hash === undefined) return `line ${sequence} is not a record`;
  const body = `${line.slice(0, -',"hash":""}'.length - 64)}}`;
  if (chain(previousHash, body) !== hash) return `the hash of line ${sequence} doesn't fit`;
  const record = JSON.parse(line) as JournalRecord;
  return record.sequence === sequence ? record : `line ${sequence} has sequence number ${record.sequence}`;
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw storageError('read', path, cause);
  }
}

function storageError(verb: string, path: string, cause: unknown): DeepDefenseError {
  if (cause instanceof DeepDefenseError) return cause;
  return new DeepDefenseError('STORAGE_FAILED', {
    what: `can't ${verb} the journal "${path}"`,
    got: cause instanceof Error ? cause.message : String(cause),
    todo: 'check free space and permissions of the folder',
    fields: { path },
    cause,
  });
}
