/**
 * @file The journal of a run as a file of JSON lines. Each line carries a sequence number and a SHA-256 that covers the line and the
 * hash of the line before, so that neither a torn write nor a later change goes unnoticed.
 */
import { hash } from 'node:crypto';
import { mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, DeepDefenseError, diskFault, sha256, systemClock } from '../core/index.ts';
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

/** A file open for appending; a FileHandle is one. */
export interface JournalFile {
  appendFile(text: string): Promise<void>;
  datasync(): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The disk below a journal; injected, so that a test can stop the machine between any two of these calls. */
export interface JournalDisk {
  /** Makes the file and its folder where missing. */
  openForAppend(path: string): Promise<JournalFile>;
  readFile(path: string): Promise<Buffer>;
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  truncate(path: string, bytes: number): Promise<void>;
}

export interface FileJournalOptions {
  readonly fsync?: FsyncPolicy;
  readonly clock?: Clock;
  /** Default: the machine's. */
  readonly disk?: JournalDisk;
}

const systemDisk: JournalDisk = {
  openForAppend: async (path) => {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(path, 'a');
    return process.env.DEEPDEFENSE_DISK_FAULTS === undefined ? handle : disturbed(handle);
  },
  readFile,
  writeFile,
  truncate,
};

/** Appends meet the faults that `deepdefense chaos` asks for. */
const disturbed = (handle: JournalFile): JournalFile => ({
  appendFile: async (text) => {
    await diskFault();
    await handle.appendFile(text);
  },
  datasync: () => handle.datasync(),
  sync: () => handle.sync(),
  close: () => handle.close(),
});

const TORN = 'the last line has no end';
/** Hash that the first line follows. */
const GENESIS = '0'.repeat(64);

/**
 * Reads a journal up to its last good line; the file stays as it is.
 * @throws DeepDefenseError STORAGE_FAILED when the file can't be read.
 */
export async function readJournal(path: string, { disk = systemDisk }: Pick<FileJournalOptions, 'disk'> = {}): Promise<JournalContent> {
  const { records, cut } = parse(await readBytes(path, disk));
  return { records, cut };
}

/** Appends events to a file; one writer at a time. */
export class FileJournal {
  readonly path: string;
  readonly #handle: JournalFile;
  readonly #fsync: FsyncPolicy;
  readonly #clock: Clock;
  #sequence: number;
  #hash: string;
  /** Appends run one after the other, in the order of the calls. */
  #last: Promise<unknown> = Promise.resolve();
  #failed = false;

  private constructor(
    path: string,
    handle: JournalFile,
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
      const { disk = systemDisk } = options;
      const handle = await disk.openForAppend(path);
      const bytes = await readBytes(path, disk);
      const { records, cut, goodBytes } = parse(bytes);
      if (cut !== null) {
        await disk.writeFile(`${path}.cut-${cut.afterSequence}`, bytes.subarray(goodBytes));
        await disk.truncate(path, goodBytes);
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

  /**
   * Waits for pending appends and forces them to disk, unless the policy is `never`.
   * @throws DeepDefenseError STORAGE_FAILED, also when an earlier append has failed.
   */
  async sync(): Promise<void> {
    await this.#last;
    if (this.#failed) throw storageError('append to', this.path, new Error('an earlier write failed'));
    if (this.#fsync === 'never') return;
    try {
      await this.#handle.datasync();
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

const LINE_FEED = 0x0a;
/** What stands between the body of a line, which lacks its last brace, and the hash, and what follows the hash. */
const HASH_KEY = Buffer.from(',"hash":"');
const LINE_END = Buffer.from('"}');
const HASH_LENGTH = 64;
const SEAL_LENGTH = HASH_KEY.length + HASH_LENGTH + LINE_END.length;

/** A line whose hash is good; it is decoded when it is looked at, because most of a long journal never is. */
class Line implements JournalRecord {
  readonly sequence: number;
  readonly hash: string;
  readonly #bytes: Buffer;
  #decoded: { readonly at: string; readonly event: JournalEvent } | undefined;

  constructor(sequence: number, hash: string, bytes: Buffer) {
    this.sequence = sequence;
    this.hash = hash;
    this.#bytes = bytes;
  }

  get at(): string {
    return this.#content.at;
  }

  get event(): JournalEvent {
    return this.#content.event;
  }

  get #content(): { readonly at: string; readonly event: JournalEvent } {
    this.#decoded ??= JSON.parse(this.#bytes.toString('utf8')) as { at: string; event: JournalEvent };
    return this.#decoded;
  }
}

function parse(bytes: Buffer): JournalContent & { readonly goodBytes: number } {
  const records: JournalRecord[] = [];
  let start = 0;
  let hash = GENESIS;
  let reason: string | undefined;
  while (start < bytes.length) {
    const end = bytes.indexOf(LINE_FEED, start);
    if (end === -1) {
      reason = TORN;
      break;
    }
    const record = parseLine(bytes.subarray(start, end), hash, records.length + 1);
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
function parseLine(line: Buffer, previousHash: string, sequence: number): JournalRecord | string {
  const bodyEnd = line.length - SEAL_LENGTH;
  const hashAt = bodyEnd + HASH_KEY.length;
  const isSealed = bodyEnd > 0 && HASH_KEY.equals(line.subarray(bodyEnd, hashAt)) && LINE_END.equals(line.subarray(hashAt + HASH_LENGTH));
  if (!isSealed) return `line ${sequence} is not a record`;
  const sealed = line.toString('latin1', hashAt, hashAt + HASH_LENGTH);
  if (chainBytes(previousHash, line, bodyEnd) !== sealed) return `the hash of line ${sequence} doesn't fit`;
  const head = `{"sequence":${sequence},`;
  if (line.toString('latin1', 0, head.length) !== head) return `line ${sequence} has another sequence number`;
  return new Line(sequence, sealed, line);
}

/** Grows to the longest line; hashing one piece of memory takes half the time of three. */
let scratch = Buffer.alloc(4096);

/** {@link chain} of a body as it lies in the file: without its last brace. */
function chainBytes(previousHash: string, line: Buffer, bodyEnd: number): string {
  const head = HASH_LENGTH + 1;
  const length = head + bodyEnd + 1;
  if (scratch.length < length) scratch = Buffer.alloc(2 * length);
  scratch.write(`${previousHash}\n`, 0, 'latin1');
  line.copy(scratch, head, 0, bodyEnd);
  scratch.write('}', length - 1, 'latin1');
  return hash('sha256', scratch.subarray(0, length), 'hex');
}

async function readBytes(path: string, disk: JournalDisk): Promise<Buffer> {
  try {
    return await disk.readFile(path);
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
