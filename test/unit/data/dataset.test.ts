import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  createDataset,
  type Dataset,
  datasetByteLength,
  datasetFromRecords,
  datasetHeader,
  datasetRecords,
  decodeRecords,
  emptyImageSet,
  limitDataset,
} from '../../../src/data/dataset.ts';
import { containing, fabricatedByte, fabricatedFile, fabricatedHash } from './fabricated.ts';

function fabricatedDataset(): Dataset {
  const train = emptyImageSet(20);
  const test = emptyImageSet(4);
  for (let file = 0; file < 5; file++) decodeRecords(fabricatedFile(file), train, file * 4, 'test');
  decodeRecords(fabricatedFile(5), test, 0, 'test');
  return createDataset('fabricated', train, test);
}

const ALL = Buffer.concat([0, 1, 2, 3, 4, 5].map((file) => fabricatedFile(file)));

describe('dataset', () => {
  it('splits records into labels and planes', () => {
    const { train } = fabricatedDataset();
    expect([...train.labels].slice(0, 8)).toEqual([0, 3, 6, 9, 4, 7, 0, 3]);
    // Image 6 = file 1, record 2; byte 2500 of the record is pixel 2499.
    expect(train.pixels[6 * 3072 + 2499]).toBe(fabricatedByte(1, 2, 2500));
  });

  it('hashes training records, then test records', () => {
    expect(fabricatedDataset().contentHash).toBe(fabricatedHash());
  });

  it('streams its records when asked, whatever the chunk length and the offset', () => {
    const dataset = fabricatedDataset();
    expect(datasetByteLength(dataset)).toBe(24 * 3073);
    for (const chunkBytes of [1, 3073, 10_000, 1 << 20]) {
      for (const offset of [0, 1, 3072, 3073, 20 * 3073 - 1, 20 * 3073, 20 * 3073 + 5, 24 * 3073 - 1, 24 * 3073]) {
        const chunks = [...datasetRecords(dataset, { chunkBytes, offset })];
        expect(Buffer.concat(chunks).equals(ALL.subarray(offset))).toBe(true);
        expect(chunks.every((chunk) => chunk.byteLength > 0 && chunk.byteLength <= Math.max(chunkBytes, 3073))).toBe(true);
      }
    }
  });

  it('comes back from records cut anywhere', () => {
    const dataset = fabricatedDataset();
    const chunks = [ALL.subarray(0, 5), ALL.subarray(5, 40_000), ALL.subarray(40_000)];
    expect(datasetFromRecords(chunks, datasetHeader(dataset))).toEqual(dataset);
  });

  it('refuses records when length or content differ from the header', () => {
    const header = datasetHeader(fabricatedDataset());
    expect(() => datasetFromRecords([ALL.subarray(1)], header)).toThrowError(expect.objectContaining({ code: 'DATA_WRONG_SIZE' }));
    const changed = Buffer.from(ALL);
    changed[70_000] = (changed[70_000] as number) ^ 1;
    expect(() => datasetFromRecords([changed], header)).toThrowError(expect.objectContaining({ code: 'DATA_CHECKSUM' }));
  });

  it('refuses a label above 9 even when the hash agrees', () => {
    const changed = Buffer.from(ALL);
    changed[21 * 3073] = 10;
    const header = { ...datasetHeader(fabricatedDataset()), contentHash: createHash('sha256').update(changed).digest('hex') };
    expect(() => datasetFromRecords([changed], header)).toThrowError(
      expect.objectContaining({ code: 'DATA_BAD_LABEL', message: containing('record 1 of') }),
    );
  });

  it('keeps the first images and the hash of the whole when limited', () => {
    const dataset = fabricatedDataset();
    const limited = limitDataset(dataset, { trainSamples: 7 });
    expect(limited.train.count).toBe(7);
    expect(limited.train.pixels).toEqual(dataset.train.pixels.subarray(0, 7 * 3072));
    expect(limited.train.labels).toEqual(dataset.train.labels.subarray(0, 7));
    expect(limited.test).toBe(dataset.test);
    expect(limited.contentHash).toBe(dataset.contentHash);
    expect(limitDataset(dataset, { trainSamples: 1000, testSamples: 2 }).train).toBe(dataset.train);
    expect(limitDataset(dataset, { testSamples: 2 }).test.count).toBe(2);
  });
});
