/** @file The bytes of a journal while it is checked, and later when its lines are decoded. */
import { closeSync, createReadStream, createWriteStream, openSync, readSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { type JournalDisk, systemDisk } from './journal-disk.ts';

export interface JournalBytes {
  /** Fills `target` from a position of the journal on; returns how many bytes, fewer than fit only at the end. */
  read(target: Buffer, position: number): Promise<number>;
  /** The bytes [start, end); the caller doesn't change or keep them. Fewer when the file has become shorter. */
  slice(start: number, end: number): Buffer;
  /** Writes what is behind `start` to another file. */
  saveTail(start: number, path: string): Promise<void>;
  /** Call when all is checked; `slice` still works. */
  close(): Promise<void>;
}

/** Longest journal that is kept in memory: some 50 000 steps. */
const MOST_HELD_BYTES = 64 * 2 ** 20;
/** What is read at once when lines are decoded, which mostly happens in their order. */
const WINDOW_BYTES = 2 ** 20;

/** A long journal stays in its file, where the disk is the machine's. */
export async function openBytes(path: string, disk: JournalDisk, mostHeldBytes = MOST_HELD_BYTES): Promise<JournalBytes> {
  if (disk === systemDisk && (await stat(path)).size > mostHeldBytes) return new FileBytes(path);
  return new HeldBytes(await disk.readFile(path), disk);
}

class HeldBytes implements JournalBytes {
  readonly #bytes: Buffer;
  readonly #disk: JournalDisk;

  constructor(bytes: Buffer, disk: JournalDisk) {
    this.#bytes = bytes;
    this.#disk = disk;
  }

  async read(target: Buffer, position: number): Promise<number> {
    return this.#bytes.copy(target, 0, position);
  }

  slice(start: number, end: number): Buffer {
    return this.#bytes.subarray(start, end);
  }

  saveTail(start: number, path: string): Promise<void> {
    return this.#disk.writeFile(path, this.#bytes.subarray(start));
  }

  async close(): Promise<void> {}
}

class FileBytes implements JournalBytes {
  readonly #path: string;
  readonly #file: number;
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, 'r');
  }

  /** At once, because a thread that copies from the page cache costs more than it saves; between blocks others have their turn. */
  async read(target: Buffer, position: number): Promise<number> {
    await setImmediate();
    return fill(this.#file, target, position);
  }

  slice(start: number, end: number): Buffer {
    if (start < this.#windowStart || end > this.#windowStart + this.#window.length) {
      this.#window = readWindow(this.#path, start, Math.max(end - start, WINDOW_BYTES));
      this.#windowStart = start;
    }
    return this.#window.subarray(start - this.#windowStart, end - this.#windowStart);
  }

  saveTail(start: number, path: string): Promise<void> {
    return pipeline(createReadStream(this.#path, { start }), createWriteStream(path));
  }

  async close(): Promise<void> {
    closeSync(this.#file);
    this.#window = Buffer.alloc(0);
  }
}

/** Opened each time: nobody says when the last line has been looked at. */
function readWindow(path: string, start: number, length: number): Buffer {
  const window = Buffer.allocUnsafe(length);
  const file = openSync(path, 'r');
  try {
    return window.subarray(0, fill(file, window, start));
  } finally {
    closeSync(file);
  }
}

function fill(file: number, target: Buffer, position: number): number {
  let filled = 0;
  while (filled < target.length) {
    const count = readSync(file, target, filled, target.length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}
