/**
 * @file Datasets received over the network, one file each in the cache, named after their content hash:
 * a line of JSON (the header), then the records. Content is checked against the name at each reading.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DeepDefenseError, isDeepDefenseError, writeFileAtomic } from '../core/index.ts';
import { type Dataset, type DatasetHeader, datasetFromRecords, datasetHeader, datasetRecords } from './dataset.ts';

const FORMAT = 'deepdefense-dataset-1';
const HEADER_LIMIT_BYTES = 4096;

/**
 * The file of a dataset in the cache.
 * @throws DeepDefenseError PROTOCOL_BAD_MESSAGE for a hash that is none: it comes from a coordinator, and becomes part of a path
 */
export function fetchedDatasetPath(cacheFolder: string, contentHash: string): string {
  if (!/^[0-9a-f]{64}$/.test(contentHash))
    throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
      what: 'the content hash of a dataset is none',
      expected: '64 hexadecimal digits',
      got: JSON.stringify(contentHash.slice(0, 80)),
    });
  return join(cacheFolder, 'datasets', `${contentHash}.records`);
}

/**
 * Stores a whole dataset (not one cut by `limitDataset`, whose records don't have its content hash). Returns the file's path.
 *
 * @throws STORAGE_FAILED
 */
export async function writeFetchedDataset(cacheFolder: string, dataset: Dataset): Promise<string> {
  const path = fetchedDatasetPath(cacheFolder, dataset.contentHash);
  const header = Buffer.from(`${JSON.stringify({ format: FORMAT, ...datasetHeader(dataset) })}\n`);
  await writeFileAtomic(path, [header, ...datasetRecords(dataset)]);
  return path;
}

/**
 * Reads a dataset from the cache; undefined when it isn't there. A damaged file is removed and reported through `onDamaged`, so that the
 * caller fetches the dataset again.
 */
export async function readFetchedDataset(
  cacheFolder: string,
  contentHash: string,
  onDamaged?: (error: DeepDefenseError) => void,
): Promise<Dataset | undefined> {
  const path = fetchedDatasetPath(cacheFolder, contentHash);
  let file: Buffer;
  try {
    file = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    onDamaged?.(damaged(path, error instanceof Error ? error.message : String(error)));
    return undefined;
  }
  try {
    const headerEnd = file.subarray(0, HEADER_LIMIT_BYTES).indexOf(0x0a);
    if (headerEnd < 0) throw damaged(path, 'no header');
    const header = parseHeader(path, file.toString('utf8', 0, headerEnd));
    if (header.contentHash !== contentHash) throw damaged(path, `content hash ${header.contentHash}`);
    return datasetFromRecords([file.subarray(headerEnd + 1)], header);
  } catch (error) {
    if (!isDeepDefenseError(error)) throw error;
    await rm(path, { force: true });
    onDamaged?.(error);
    return undefined;
  }
}

function parseHeader(path: string, line: string): DatasetHeader {
  let value: Partial<Record<keyof DatasetHeader | 'format', unknown>>;
  try {
    value = JSON.parse(line) as typeof value;
  } catch {
    throw damaged(path, `header "${line.slice(0, 80)}"`);
  }
  const { format, name, contentHash, trainCount, testCount } = value;
  const valid =
    format === FORMAT && typeof name === 'string' && typeof contentHash === 'string' && isCount(trainCount) && isCount(testCount);
  if (!valid) throw damaged(path, `header "${line.slice(0, 80)}"`);
  return { name, contentHash, trainCount, testCount };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function damaged(path: string, got: string): DeepDefenseError {
  return new DeepDefenseError('DATA_CHECKSUM', {
    what: `the cached dataset "${path}" is damaged`,
    expected: `a header of format ${FORMAT} and the records that it announces`,
    got,
    todo: 'nothing: it is fetched again',
    fields: { path },
  });
}
