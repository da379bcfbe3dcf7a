import { createHash } from 'node:crypto';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RUN_FORMAT } from '../../../src/core/index.ts';
import {
  effectiveSteps,
  FileJournal,
  type JournalDisk,
  type JournalEvent,
  type JournalFile,
  readJournal,
} from '../../../src/journal/index.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'journal-'));
  path = join(folder, 'run', 'journal.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

const joined = (workerId: string): JournalEvent => ({ type: 'worker-joined', workerId, host: 'höst', engineFingerprint: 'e' });
const left = (workerId: string): JournalEvent => ({ type: 'worker-left', workerId, reason: 'goodbye' });
const step = (number: number, loss: number): JournalEvent => ({
  type: 'step-committed',
  step: number,
  epoch: 0,
  position: number * 32,
  samples: 32,
  loss,
  metrics: {},
  learningRate: 0.1,
  gradientNorm: 1,
  gfaScale: 0,
  blocks: [],
  parametersSha256: '',
  seconds: 0.1,
});
const clock = { nowMs: () => Date.UTC(2026, 1, 3, 4, 5, 6, 7), setTimer: () => () => {} };

/** A journal of four lines. */
async function written(): Promise<string> {
  const { journal } = await FileJournal.open(path, { fsync: 'never', clock });
  for (const event of [joined('a'), joined('b'), left('a'), left('b')]) await journal.append(event);
  await journal.close();
  return readFile(path, 'utf8');
}

describe('file journal', () => {
  it('line: has sequence, time, event and a chained hash that anyone can compute', async () => {
    const lines = (await written()).trimEnd().split('\n');
    let previous = '0'.repeat(64);
    lines.forEach((line, i) => {
      const { hash, ...rest } = JSON.parse(line) as { hash: string; sequence: number; at: string };
      expect(rest).toMatchObject({ sequence: i + 1, at: '2026-02-03T04:05:06.007Z' });
      expect(hash).toBe(
        createHash('sha256')
          .update(`${previous}\n${JSON.stringify(rest)}`)
          .digest('hex'),
      );
      previous = hash;
    });
    expect(lines).toHaveLength(4);
  });

  it('journal: goes on where it ended when opened again', async () => {
    await written();
    const { journal, records, cut } = await FileJournal.open(path);
    expect([records.length, cut, journal.sequence, journal.hash]).toEqual([4, null, 4, records[3]?.hash]);
    const record = await journal.append(joined('c'));
    await journal.close();
    const content = await readJournal(path);
    expect(content.cut).toBeNull();
    const last = content.records.at(-1);
    expect({ sequence: last?.sequence, at: last?.at, event: last?.event, hash: last?.hash }).toEqual(record);
    expect(content.records.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
  });

  it('journal: keeps the order of appends that were not awaited', async () => {
    const { journal } = await FileJournal.open(path);
    await Promise.all(Array.from({ length: 50 }, (_, i) => journal.append(joined(`w${i}`))));
    await journal.close();
    const { records, cut } = await readJournal(path);
    expect(cut).toBeNull();
    expect(records.map(({ event }) => (event.type === 'worker-joined' ? event.workerId : ''))).toEqual(
      Array.from({ length: 50 }, (_, i) => `w${i}`),
    );
  });

  it('sync: waits for appends and forces them to disk; after a failed append it fails too', async () => {
    const calls: string[] = [];
    let full = false;
    const file: JournalFile = {
      appendFile: async (text) => {
        if (full) throw new Error('ENOSPC');
        calls.push(text.slice(0, 13));
      },
      datasync: async () => void calls.push('datasync'),
      sync: async () => {},
      close: async () => {},
    };
    const disk: JournalDisk = {
      openForAppend: async () => file,
      readFile: async () => Buffer.alloc(0),
      writeFile: async () => {},
      truncate: async () => {},
    };
    const { journal } = await FileJournal.open(path, { disk });
    void journal.append(step(0, 1));
    await journal.sync();
    expect(calls).toEqual(['{"sequence":1', 'datasync']);
    full = true;
    await expect(journal.append(joined('a'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await expect(journal.sync()).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });

  it('reader: stops at the last whole line wherever the file is torn', async () => {
    const text = Buffer.from(await written());
    const ends = [...text.keys()].filter((i) => text[i] === 0x0a).map((i) => i + 1);
    for (let length = 0; length <= text.length; length += 7) {
      await writeFile(path, text.subarray(0, length));
      const { records, cut } = await readJournal(path);
      const whole = ends.filter((end) => end <= length);
      expect(records).toHaveLength(whole.length);
      expect(cut === null).toBe(length === 0 || whole.at(-1) === length);
      if (cut !== null)
        expect(cut).toMatchObject({ afterSequence: whole.length, droppedBytes: length - (whole.at(-1) ?? 0), droppedLines: 1 });
    }
  });

  it('journal: cuts a torn tail, keeps it aside, and goes on after it', async () => {
    const text = await written();
    await writeFile(path, text.slice(0, -20));
    const { journal, records, cut } = await FileJournal.open(path);
    expect([records.length, cut?.afterSequence, cut?.reason]).toEqual([3, 3, 'the last line has no end']);
    expect((await readdir(join(folder, 'run'))).sort()).toEqual(['journal.jsonl', 'journal.jsonl.cut-3']);
    expect(await readFile(`${path}.cut-3`, 'utf8')).toBe(text.trimEnd().split('\n')[3]?.slice(0, -19));
    await journal.append(joined('d'));
    await journal.close();
    expect(await readJournal(path)).toMatchObject({ cut: null, records: { length: 4 } });
  });

  it('reader: notices a change, a removed line and a repeated line in the middle', async () => {
    const lines = (await written()).trimEnd().split('\n') as [string, string, string, string];
    const cases: [string[], number, number][] = [
      [[lines[0], lines[1].replace('"b"', '"x"'), lines[2], lines[3]], 1, 3],
      [[lines[0], lines[2], lines[3]], 1, 2],
      [[lines[0], lines[1], lines[1], lines[2]], 2, 2],
      [[lines[1]], 0, 1],
    ];
    for (const [changed, good, dropped] of cases) {
      await writeFile(path, `${changed.join('\n')}\n`);
      const { records, cut } = await readJournal(path);
      expect([records.length, cut?.droppedLines]).toEqual([good, dropped]);
    }
  });

  it('journal: refuses appends after a failed one', async () => {
    const { journal } = await FileJournal.open(path);
    await journal.close();
    for (const event of [joined('a'), joined('b')]) await expect(journal.append(event)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });

  it('journal: says STORAGE_FAILED when there is no file or no folder can be made', async () => {
    await expect(readJournal(join(folder, 'none'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await appendFile(join(folder, 'file'), '');
    await expect(FileJournal.open(join(folder, 'file', 'journal'))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });
});

describe('journal of a newer version', () => {
  const started = (format?: number): JournalEvent => ({
    type: 'run-started',
    ...(format === undefined ? {} : { format }),
    runId: 'run-1',
    packageVersion: '9.9.9',
    config: {},
    totalSteps: 1,
    samplesPerEpoch: 1,
    datasetName: '',
    datasetHash: '',
    sampleHashesSha256: '',
    schemaHash: '',
  });
  async function begun(format?: number): Promise<void> {
    const { journal } = await FileJournal.open(path, { fsync: 'never' });
    await journal.append(started(format));
    await journal.close();
    await appendFile(path, '{"torn');
  }

  it('read and open: refused with FORMAT_NEWER, and nothing is cut off', async () => {
    await begun(RUN_FORMAT + 1);
    const before = await readFile(path, 'utf8');
    const refusal = { code: 'FORMAT_NEWER', parts: { got: `format ${RUN_FORMAT + 1}` } };
    await expect(readJournal(path)).rejects.toMatchObject(refusal);
    await expect(FileJournal.open(path)).rejects.toMatchObject(refusal);
    expect(await readFile(path, 'utf8')).toBe(before);
    expect(await readdir(join(folder, 'run'))).toEqual(['journal.jsonl']);
  });

  it('read: takes the format of this version, and none for the first', async () => {
    await begun(RUN_FORMAT);
    expect((await readJournal(path)).records).toHaveLength(1);
    await rm(path);
    await begun();
    expect((await readJournal(path)).records).toHaveLength(1);
  });
});

describe('effective steps', () => {
  const resumed = (fromStep: number): JournalEvent => ({ type: 'run-resumed', fromStep, checkpoint: 'c' });

  it('fold: voids steps that a resume takes again, also twice', () => {
    const events = [step(0, 1), step(1, 2), step(2, 3), resumed(1), step(1, 4), resumed(1), step(1, 5), step(2, 6)];
    expect(effectiveSteps(events).map(({ step: number, loss }) => [number, loss])).toEqual([
      [0, 1],
      [1, 5],
      [2, 6],
    ]);
    expect(effectiveSteps([step(0, 1), resumed(0)])).toEqual([]);
  });
});
