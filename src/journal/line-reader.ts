/** @file Checks the lines of a journal, block by block, and finds where the good ones end. */
import { hash } from 'node:crypto';
import type { JournalBytes } from './journal-bytes.ts';
import { storageError } from './journal-disk.ts';
import type { CutTail, JournalContent, JournalRecord } from './journal-record.ts';
import { bodyOf, chain, GENESIS, HASH_KEY, HASH_LENGTH, LINE_END } from './seal.ts';

/** Small enough that what was read is still in the processor's cache when it is hashed. */
const BLOCK_BYTES = 2 ** 18;
/** A line that is longer is none of ours, and not worth the memory. */
export const LONGEST_LINE_BYTES = 64 * 2 ** 20;
const TORN = 'the last line has no end';

const LINE_FEED = 0x0a;
const BRACE = 0x7d;
const SEAL_LENGTH = HASH_KEY.length + HASH_LENGTH + LINE_END.length;
/** What is hashed before the body of a line: the hash of the line before and a line feed. */
const PREFIX_LENGTH = HASH_LENGTH + 1;

export interface CheckedLines<Event> extends JournalContent<Event> {
  /** Where the good lines end. */
  readonly goodBytes: number;
}

/** @param path for messages */
export async function readLines<Event>(path: string, bytes: JournalBytes, blockBytes = BLOCK_BYTES): Promise<CheckedLines<Event>> {
  const checker = new LineChecker<Event>(path, bytes);
  let block = Buffer.allocUnsafeSlow(PREFIX_LENGTH + blockBytes);
  block.write(`${GENESIS}\n`, 'latin1');
  /** Length of what isn't checked yet, and the position behind it. */
  let rest = PREFIX_LENGTH;
  let position = 0;
  for (;;) {
    const count = await bytes.read(block.subarray(rest), position);
    position += count;
    const isLast = rest + count < block.length;
    const checked = checker.check(block.subarray(0, rest + count), position - rest - count);
    rest += count - checked;
    block.copyWithin(0, checked, checked + rest);
    if (isLast || checker.reason !== undefined || rest > LONGEST_LINE_BYTES) break;
    // A line that is longer than the block.
    if (checked === 0) block = Buffer.concat([block, Buffer.allocUnsafe(block.length)]);
  }
  const goodBytes = position - (rest - PREFIX_LENGTH);
  const isWhole = checker.reason === undefined && rest === PREFIX_LENGTH;
  const { records, reason } = checker;
  return { records, cut: isWhole ? null : await tailOf(bytes, goodBytes, records.length, reason), goodBytes };
}

class LineChecker<Event> {
  readonly records: Line<Event>[] = [];
  /** Why the line behind the last record is none. */
  reason: string | undefined;
  readonly #file: LineFile<Event>;
  #hash = GENESIS;

  constructor(path: string, bytes: JournalBytes) {
    this.#file = { path, bytes };
  }

  /**
   * Takes the whole good lines at the beginning of `lines`; returns where the rest begins. Both begin with the hash of the line before
   * and a line feed, so that what is hashed for a line is one piece of memory. That is arranged in place, which is faster than a copy.
   * @param position of `lines` in the journal
   */
  check(lines: Buffer, position: number): number {
    let start = PREFIX_LENGTH;
    for (;;) {
      const end = lines.indexOf(LINE_FEED, start);
      if (end === -1) break;
      this.reason = this.#take(lines, start, end, position);
      if (this.reason !== undefined) break;
      start = end + 1;
    }
    return start - PREFIX_LENGTH;
  }

  /** Why the line is no record. */
  #take(lines: Buffer, start: number, end: number, position: number): string | undefined {
    const sequence = this.records.length + 1;
    const bodyEnd = end - SEAL_LENGTH;
    const hashAt = bodyEnd + HASH_KEY.length;
    if (bodyEnd <= start || !holds(lines, bodyEnd, HASH_KEY) || !holds(lines, end - LINE_END.length, LINE_END))
      return `line ${sequence} is not a record`;
    lines[bodyEnd] = BRACE;
    const own = hash('sha256', lines.subarray(start - PREFIX_LENGTH, bodyEnd + 1), 'hex');
    if (!holds(lines, hashAt, own)) return `the hash of line ${sequence} doesn't fit`;
    if (!holds(lines, start, `{"sequence":${sequence},`)) return `line ${sequence} has another sequence number`;
    lines.copyWithin(end - HASH_LENGTH, hashAt, hashAt + HASH_LENGTH);
    this.records.push(new Line(this.#file, sequence, own, this.#hash, position + start, end - start));
    this.#hash = own;
    return undefined;
  }
}

/** Faster than making a string of the bytes. */
function holds(bytes: Buffer, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** Where lines are, and the one that was decoded last. */
interface LineFile<Event> {
  readonly path: string;
  readonly bytes: JournalBytes;
  last?: { readonly sequence: number; readonly at: string; readonly event: Event };
}

/**
 * A line whose hash is good. It is decoded when it is looked at, because most of a long journal never is, and anew each time unless it
 * was the last one, because all events of a long journal would take gigabytes.
 */
class Line<Event> implements JournalRecord<Event> {
  readonly sequence: number;
  readonly hash: string;
  readonly #file: LineFile<Event>;
  readonly #previousHash: string;
  readonly #start: number;
  readonly #length: number;

  constructor(file: LineFile<Event>, sequence: number, ownHash: string, previousHash: string, start: number, length: number) {
    this.#file = file;
    this.sequence = sequence;
    this.hash = ownHash;
    this.#previousHash = previousHash;
    this.#start = start;
    this.#length = length;
  }

  get at(): string {
    return this.#content.at;
  }

  /** False when the event is of another type for sure, which its bytes say without being decoded. */
  mayBe(type: string): boolean {
    const bytes = this.#bytes();
    // What is cut off since it was checked must be decoded, which says so.
    return bytes.length < this.#length || bytes.includes(`"type":"${type}"`);
  }

  get event(): Event {
    return this.#content.event;
  }

  get #content(): { readonly at: string; readonly event: Event } {
    if (this.#file.last?.sequence !== this.sequence) this.#file.last = { sequence: this.sequence, ...this.#decode() };
    return this.#file.last;
  }

  #bytes(): Buffer {
    const { path, bytes } = this.#file;
    try {
      return bytes.slice(this.#start, this.#start + this.#length);
    } catch (cause) {
      throw storageError('read', path, cause);
    }
  }

  #decode(): { at: string; event: Event } {
    const { path } = this.#file;
    try {
      const body = bodyOf(this.#bytes().toString('utf8'));
      if (chain(this.#previousHash, body) !== this.hash) throw new Error(`line ${this.sequence} has changed since it was checked`);
      const { at, event } = JSON.parse(body) as { at: string; event: Event };
      return { at, event };
    } catch (cause) {
      throw storageError('read', path, cause);
    }
  }
}

/** Positions of the records of a type, in their order; of a journal's lines only those are decoded that look like it. */
export function* positionsOf<Event extends { readonly type: string }>(
  records: readonly JournalRecord<Event>[],
  type: Event['type'],
): Generator<number, void, undefined> {
  for (const [position, record] of records.entries()) if (mayBe(record, type) && record.event.type === type) yield position;
}

function mayBe(record: unknown, type: string): boolean {
  return !(record instanceof Line) || record.mayBe(type);
}

/** Looks at everything behind the last good line. */
async function tailOf(bytes: JournalBytes, start: number, afterSequence: number, badLine: string | undefined): Promise<CutTail> {
  const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let droppedBytes = 0;
  let droppedLines = 0;
  let lineFeeds = 0;
  let before = LINE_FEED;
  for (;;) {
    const count = await bytes.read(block, start + droppedBytes);
    for (let i = 0; i < count; i++) {
      const byte = block[i] as number;
      if (byte === LINE_FEED) lineFeeds += 1;
      else if (before === LINE_FEED) droppedLines += 1;
      before = byte;
    }
    droppedBytes += count;
    if (count < block.length) break;
  }
  const reason = badLine ?? (lineFeeds === 0 ? TORN : `line ${afterSequence + 1} is not a record`);
  return { afterSequence, droppedBytes, droppedLines, reason, torn: reason === TORN };
}
