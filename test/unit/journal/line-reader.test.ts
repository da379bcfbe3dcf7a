/** @file Journals that are read in blocks: what lies across their borders, damage behind them, lines that are decoded from the file. */
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  FileJournal,
  type JournalContent,
  type JournalEvent,
  type JournalRecord,
  positionsOf,
  readJournal,
} from '../../../src/journal/index.ts';
import { chain, sealed } from '../../../src/journal/seal.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'journal-'));
  path = join(folder, 'journal.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

/** Characters of one to four bytes. */
const joined = (index: number, host = `ö€😀${'x'.repeat(index % 5)}`): JournalEvent => ({
  type: 'worker-joined',
  workerId: `w${index}`,
  host,
  engineFingerprint: 'é',
});

async function written(events: readonly JournalEvent[]): Promise<Buffer> {
  const { journal } = await FileJournal.open(path, { fsync: 'never' });
  for (const event of events) await journal.append(event);
  await journal.close();
  return readFile(path);
}

const twelve = Array.from({ length: 12 }, (_, index) => joined(index));
const plain = ({ records, cut }: JournalContent) => ({
  records: records.map(({ sequence, at, event, hash }) => ({ sequence, at, event, hash })),
  cut,
});
/** Where the lines end. */
const endsOf = (bytes: Buffer): number[] => [...bytes.keys()].filter((i) => bytes[i] === 0x0a).map((i) => i + 1);
/** Held in memory and left in the file. */
const places = [{}, { mostHeldBytes: 0 }];

describe('line reader', () => {
  it('blocks: of any length give the same records, in memory and from the file', async () => {
    const bytes = await written(twelve);
    const whole = plain(await readJournal(path));
    expect(whole.cut).toBeNull();
    expect(whole.records.map(({ event }) => event)).toEqual(twelve);
    // Borders fall on every byte of a line and of its characters; the shortest blocks are shorter than a line.
    for (const place of places)
      for (const blockBytes of [1, 2, 3, 61, 64, 65, 66, 200, 251, 252, 253, 254, 255, 256, 257, 600, bytes.length - 1, bytes.length])
        expect(plain(await readJournal(path, { ...place, blockBytes })), `blocks of ${blockBytes}`).toEqual(whole);
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });

  it('blocks: a file that ends within a line is cut at the same place whatever the blocks', async () => {
    const bytes = (await written(twelve)).subarray(0, 900);
    const ends = endsOf(bytes);
    for (let length = 700; length <= 900; length++) {
      await writeFile(path, bytes.subarray(0, length));
      const good = ends.filter((end) => end <= length);
      const droppedBytes = length - (good.at(-1) ?? 0);
      const cut = {
        afterSequence: good.length,
        droppedBytes,
        droppedLines: 1,
        reason: 'the last line has no end',
        torn: true,
      };
      // One of them ends where the file ends, one a byte before, one a byte behind.
      for (const place of places)
        for (const blockBytes of [length / 2, length - 1, length, length + 1].filter(Number.isInteger)) {
          const content = await readJournal(path, { ...place, blockBytes });
          expect([content.records.length, content.cut]).toEqual([good.length, droppedBytes === 0 ? null : cut]);
        }
    }
  });

  it('line: may be longer than a block, and than what is read at once for decoding', async () => {
    const events = [joined(0), joined(1, '€'.repeat(700_000)), joined(2), joined(3, '€'.repeat(100_000)), joined(4)];
    await written(events);
    for (const place of places) {
      const { records, cut } = await readJournal(path, place);
      expect(cut).toBeNull();
      // Not in order: each is found again in the file.
      for (const index of [4, 1, 0, 3, 2]) expect(records[index]?.event).toEqual(events[index]);
    }
  });

  it('file: empty, without a line feed, and of line feeds alone', async () => {
    for (const place of places) {
      await writeFile(path, '');
      expect(await readJournal(path, place)).toEqual({ records: [], cut: null });
      await writeFile(path, '{"sequ');
      expect((await readJournal(path, place)).cut).toMatchObject({ afterSequence: 0, droppedBytes: 6, droppedLines: 1, torn: true });
      await writeFile(path, '\n\n');
      expect((await readJournal(path, place)).cut).toEqual({
        afterSequence: 0,
        droppedBytes: 2,
        droppedLines: 0,
        reason: 'line 1 is not a record',
        torn: false,
      });
      await expect(readJournal(join(folder, 'none'), place)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    }
  });

  it('damage: in a later block is found there, cut off and kept aside, and the journal goes on before it', async () => {
    const original = await written(twelve);
    const ends = endsOf(original);
    const seventh = ends[6] as number;
    const damages: [string, (line: Buffer) => void][] = [
      [`the hash of line 8 doesn't fit`, (line) => line.write('W', line.indexOf('"w7"') + 1)],
      [`the hash of line 8 doesn't fit`, (line) => line.write('f0f0f', line.indexOf('"hash":"') + 8)],
      ['line 8 is not a record', (line) => line.write('HASH', line.indexOf('"hash":"') + 1)],
      ['line 8 is not a record', (line) => line.write(']', line.indexOf('}\n'))],
      ['line 8 is not a record', (line) => line.fill('\n', 0, 40)],
    ];
    for (const place of places)
      for (const [reason, damage] of damages) {
        const bytes = Buffer.from(original);
        damage(bytes.subarray(seventh));
        await writeFile(path, bytes);
        const droppedBytes = bytes.length - seventh;
        const expected = { afterSequence: 7, droppedBytes, droppedLines: 5, reason, torn: false };
        expect((await readJournal(path, { ...place, blockBytes: 300 })).cut).toEqual(expected);
        const { journal, records, cut } = await FileJournal.open(path, { ...place, blockBytes: 300 });
        expect([cut, records.length, journal.sequence]).toEqual([expected, 7, 7]);
        expect((await readdir(folder)).sort()).toEqual(['journal.jsonl', 'journal.jsonl.cut-7']);
        expect((await readFile(`${path}.cut-7`)).equals(bytes.subarray(seventh))).toBe(true);
        expect((await readFile(path)).equals(bytes.subarray(0, seventh))).toBe(true);
        await journal.append(joined(7));
        await journal.close();
        expect(records.map(({ event }) => event)).toEqual(twelve.slice(0, 7));
        expect(await readJournal(path)).toMatchObject({ cut: null, records: { length: 8 } });
      }
  });

  it('damage: lines that follow another line, or have another number, are none', async () => {
    const bytes = await written(twelve);
    const ends = [0, ...endsOf(bytes)];
    const line = (number: number): Buffer => bytes.subarray(ends[number - 1], ends[number]);
    for (const place of places) {
      await writeFile(path, Buffer.concat([1, 2, 3, 5, 6].map(line)));
      const left = await readJournal(path, { ...place, blockBytes: 300 });
      expect(left.cut).toMatchObject({ afterSequence: 3, droppedLines: 2, reason: "the hash of line 4 doesn't fit" });
    }
    const { records } = await readJournal(path);
    const { hash } = records[2] as JournalRecord;
    for (const sequence of ['5', '04', '4.0']) {
      const body = `{"sequence":${sequence},"at":"","event":{}}`;
      await writeFile(path, Buffer.concat([...[1, 2, 3].map(line), Buffer.from(sealed(body, chain(hash, body)))]));
      expect((await readJournal(path)).cut).toMatchObject({ afterSequence: 3, reason: 'line 4 has another sequence number', torn: false });
    }
  });

  it('line feed: lacking for longer than any line can be is a torn tail; with more behind it, damage', async () => {
    const bytes = await written(twelve);
    const zeros = 66 * 2 ** 20;
    // As after a power cut: room that was given to the file and never written.
    const file = await open(path, 'r+');
    await file.truncate(bytes.length + zeros);
    expect(await readJournal(path)).toMatchObject({ records: { length: 12 }, cut: { droppedBytes: zeros, droppedLines: 1, torn: true } });
    await file.write('\nx', bytes.length + zeros);
    await file.close();
    expect(await readJournal(path)).toMatchObject({
      records: { length: 12 },
      cut: { droppedBytes: zeros + 2, droppedLines: 2, reason: 'line 13 is not a record', torn: false },
    });
  });

  it('positions of a type: are those of its events, whatever else the lines hold, without decoding the others', async () => {
    const left: JournalEvent = { type: 'worker-left', workerId: 'w', reason: '"type":"run-resumed"' };
    const resumed: JournalEvent = { type: 'run-resumed', fromStep: 3, checkpoint: '' };
    const evaluated = { type: 'evaluation-finished', like: { type: 'run-resumed' } } as unknown as JournalEvent;
    const bytes = await written([joined(0), resumed, left, evaluated, joined(1), resumed, left]);
    for (const place of places) {
      const { records } = await readJournal(path, place);
      expect([...positionsOf(records, 'run-resumed')]).toEqual([1, 5]);
      expect([...positionsOf(records, 'worker-left')]).toEqual([2, 6]);
      expect([...positionsOf(records, 'run-forked')]).toEqual([]);
    }
    // Records of other journals are as they are.
    expect([...positionsOf(plain(await readJournal(path)).records, 'run-resumed')]).toEqual([1, 5]);

    // A file that changes before it is looked at again.
    const [, secondEnd = 0, thirdEnd = 0] = endsOf(bytes);
    const after = async (change: () => Promise<void>) => {
      await writeFile(path, bytes);
      const { records } = await readJournal(path, { mostHeldBytes: 0 });
      await change();
      return () => [...positionsOf(records, 'run-resumed')];
    };
    expect((await after(() => writeFile(path, Buffer.from(bytes).fill('x', secondEnd, thirdEnd - 1))))()).toEqual([1, 5]);
    expect(await after(() => writeFile(path, bytes.subarray(0, thirdEnd)))).toThrow("can't read the journal");
    expect(await after(() => rm(path))).toThrow("can't read the journal");
  });

  it('record: from a file that has changed since it was checked is refused', async () => {
    const bytes = await written(twelve);
    const { records } = await readJournal(path, { mostHeldBytes: 0 });
    const held = await readJournal(path);
    const changed = Buffer.from(bytes);
    changed.write('W', changed.indexOf('"w3"') + 1);
    await writeFile(path, changed);
    expect(records[2]?.event).toEqual(twelve[2]);
    expect(() => records[3]?.event).toThrow('line 4 has changed since it was checked');
    await rm(path);
    expect(() => records[4]?.event).not.toThrow();
    expect(held.records.map(({ event }) => event)).toEqual(twelve);
  });
});
