/** @file What every journal must do; each implementation is a row of conformance.test.ts. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OpenedLog } from '../../../src/journal/index.ts';

export interface NoteEvent {
  readonly type: 'note';
  readonly text: string;
}

/** One place where a journal is kept, empty at first. */
export interface JournalPlace {
  open(): Promise<OpenedLog<NoteEvent>>;
  /** Makes the next write fail for want of room; undefined where a test can't do that. */
  fill(): Promise<void>;
  /** Ends `fill`. */
  empty(): Promise<void>;
  /** Characters of an event that is too large. */
  readonly tooLarge: number;
  /** Two writers at once are kept apart; a file's are by the lock of its folder. */
  readonly fences: boolean;
  close(): Promise<void>;
}

const note = (text: string): NoteEvent => ({ type: 'note', text });

export function journalConformance(name: string, place: () => Promise<JournalPlace>, isSkipped = false): void {
  describe.skipIf(isSkipped)(name, () => {
    let at: JournalPlace;
    beforeEach(async () => {
      at = await place();
    });
    afterEach(() => at?.close());

    const texts = async () => {
      const { journal, records } = await at.open();
      await journal.close();
      return records.map(({ event }) => event.text);
    };

    it('is empty at first, and counts what is appended', async () => {
      const { journal, records, cut } = await at.open();
      expect([records.length, cut, journal.sequence, journal.hash]).toEqual([0, null, 0, '0'.repeat(64)]);
      const record = await journal.append(note('höst "quoted"\n'));
      expect(record).toMatchObject({ sequence: 1, event: note('höst "quoted"\n') });
      expect([journal.sequence, journal.hash]).toEqual([1, record.hash]);
      await journal.close();
    });

    it('has everything when it is opened again, and goes on behind it', async () => {
      const first = await at.open();
      const written = [await first.journal.append(note('a')), await first.journal.append(note('b'))];
      await first.journal.sync();
      await first.journal.close();
      const second = await at.open();
      expect(second.records.map(({ sequence, at, event, hash }) => ({ sequence, at, event, hash }))).toEqual(written);
      expect(second.journal.hash).toBe(written[1]?.hash);
      expect((await second.journal.append(note('c'))).sequence).toBe(3);
      await second.journal.close();
      expect(await texts()).toEqual(['a', 'b', 'c']);
    });

    it('keeps the order of appends that were not awaited', async () => {
      const { journal } = await at.open();
      const expected = Array.from({ length: 300 }, (_, i) => `n${i}`);
      const appended = expected.map((text) => journal.append(note(text)));
      await journal.close();
      expect((await Promise.all(appended)).map(({ sequence }) => sequence)).toEqual(expected.map((_, i) => i + 1));
      expect(await texts()).toEqual(expected);
    });

    it('refuses an event that is too large, and stays as it was', async () => {
      const { journal } = await at.open();
      await journal.append(note('a'));
      await expect(journal.append(note('x'.repeat(at.tooLarge)))).rejects.toMatchObject({
        code: 'PAYLOAD_TOO_LARGE',
        parts: { expected: expect.stringContaining('bytes') },
      });
      await journal.append(note('b'));
      await journal.sync();
      await journal.close();
      expect(await texts()).toEqual(['a', 'b']);
    });

    it('fails for good after a failed write, and is whole when opened again', async () => {
      const { journal } = await at.open();
      await journal.append(note('a'));
      await at.fill();
      await expect(journal.append(note('b'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
      await at.empty();
      await expect(journal.append(note('c'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
      await expect(journal.sync()).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
      await journal.close();
      const { journal: next, records } = await at.open();
      expect(records.map(({ event }) => event.text)).toEqual(['a']);
      expect((await next.append(note('d'))).sequence).toBe(2);
      await next.close();
      expect(await texts()).toEqual(['a', 'd']);
    });

    it('lets one of two writers append, and overwrites nothing', async () => {
      if (!at.fences) return;
      const [one, two] = [await at.open(), await at.open()];
      // The same event, maybe in the same millisecond.
      const both = await Promise.allSettled([one.journal.append(note('a')), two.journal.append(note('a'))]);
      const [winner, loser] = both[0].status === 'fulfilled' ? [one, two] : [two, one];
      expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'JOURNAL_FENCED' } });
      await winner.journal.append(note('b'));
      await expect(loser.journal.append(note('late'))).rejects.toMatchObject({ code: 'JOURNAL_FENCED' });
      await expect(loser.journal.sync()).rejects.toMatchObject({ code: 'JOURNAL_FENCED' });
      await Promise.all([winner.journal.close(), loser.journal.close()]);
      expect(await texts()).toEqual(['a', 'b']);
    });
  });
}
