/** @file Follows the journal of a run that another process writes. */
import { open } from 'node:fs/promises';
import type { JournalEvent } from '../../journal/index.ts';

/** Reads what was appended since the last time; a line that isn't whole yet is read again. */
export class JournalTail {
  readonly #path: string;
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** New events in order; none while there is no file. */
  async read(): Promise<JournalEvent[]> {
    const handle = await open(this.#path).catch(() => undefined);
    if (handle === undefined) return [];
    try {
      const { size } = await handle.stat();
      // A restart cuts a torn line off.
      if (size < this.#offset) this.#offset = size;
      const bytes = Buffer.alloc(size - this.#offset);
      await handle.read(bytes, 0, bytes.length, this.#offset);
      const end = bytes.lastIndexOf(0x0a);
      this.#offset += end + 1;
      return bytes
        .toString('utf8', 0, Math.max(0, end))
        .split('\n')
        .filter((line) => line !== '')
        .flatMap((line) => eventOf(line));
    } finally {
      await handle.close();
    }
  }
}

/** The event of a line; nothing for the rest of a line that was torn and cut off meanwhile: the audit judges the file, this only watches. */
function eventOf(line: string): JournalEvent[] {
  try {
    return [(JSON.parse(line) as { event: JournalEvent }).event];
  } catch {
    return [];
  }
}
