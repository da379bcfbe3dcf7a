import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DeepDefenseError } from '../../../src/core/index.ts';
import { createDataset, type Dataset, decodeRecords, emptyImageSet } from '../../../src/data/dataset.ts';
import { fetchedDatasetPath, readFetchedDataset, writeFetchedDataset } from '../../../src/data/fetched-cache.ts';
import { fabricatedFile, temporaryFolder } from './fabricated.ts';

function dataset(): Dataset {
  const train = emptyImageSet(5);
  const test = emptyImageSet(3);
  decodeRecords(fabricatedFile(0, 5), train, 0, 'test');
  decodeRecords(fabricatedFile(1, 3), test, 0, 'test');
  return createDataset('CIFAR-10 (JPEG-75)', train, test);
}

describe('fetched cache', () => {
  it('gives back what was stored, and nothing for another hash', async () => {
    const cache = await temporaryFolder();
    const stored = dataset();
    expect(await readFetchedDataset(cache, stored.contentHash)).toBeUndefined();
    const path = await writeFetchedDataset(cache, stored);
    expect(await readFetchedDataset(cache, stored.contentHash)).toEqual(stored);
    expect(await readFetchedDataset(cache, 'f'.repeat(64))).toBeUndefined();
    expect(path).toBe(fetchedDatasetPath(cache, stored.contentHash));
    expect((await readdir(dirname(path))).length).toBe(1);
  });

  it('removes and reports a file when it is damaged', async () => {
    const cache = await temporaryFolder();
    const stored = dataset();
    const path = await writeFetchedDataset(cache, stored);
    const good = await readFile(path);
    const flipped = Buffer.from(good);
    flipped[10_000] = (flipped[10_000] as number) ^ 4;
    const otherHash = Buffer.from(good.toString('latin1').replace(stored.contentHash, 'e'.repeat(64)), 'latin1');
    const damage: [Buffer, string][] = [
      [flipped, 'DATA_CHECKSUM'],
      [good.subarray(0, good.length - 7), 'DATA_WRONG_SIZE'],
      [Buffer.alloc(0), 'DATA_CHECKSUM'],
      [Buffer.from('{"format":"other"}\n'), 'DATA_CHECKSUM'],
      [Buffer.from('not json\n'), 'DATA_CHECKSUM'],
      [otherHash, 'DATA_CHECKSUM'],
    ];
    for (const [bytes, code] of damage) {
      await writeFile(path, bytes);
      const reported: DeepDefenseError[] = [];
      expect(await readFetchedDataset(cache, stored.contentHash, (error) => reported.push(error))).toBeUndefined();
      expect(reported.map((error) => error.code)).toEqual([code]);
      expect(await readdir(dirname(path))).toEqual([]);
    }
  });
});
