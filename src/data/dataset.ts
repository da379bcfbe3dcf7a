/**
 * @file A dataset in memory: uint8 pixels and labels of a training and a test set, its content hash, and the conversion
 * to and from CIFAR-10 records, the form in which datasets are hashed, cached and streamed.
 */
import { createHash } from 'node:crypto';
import { DeepDefenseError } from '../core/index.ts';

/** Side of an image in pixels. */
export const IMAGE_SIDE = 32;
/** Pixels of one channel plane. */
export const PLANE_BYTES = IMAGE_SIDE * IMAGE_SIDE;
/** Bytes of one image: R plane, G plane, B plane, each row-major. */
export const IMAGE_BYTES = 3 * PLANE_BYTES;
/** Bytes of one CIFAR-10 record: label byte, then {@link IMAGE_BYTES}. */
export const RECORD_BYTES = 1 + IMAGE_BYTES;
/** Labels are 0..9. */
export const CLASS_COUNT = 10;

/** Images of one split. */
export interface ImageSet {
  readonly count: number;
  /** [count], each 0..9. */
  readonly labels: Uint8Array;
  /** [count * 3072]; per image R plane, G plane, B plane, row-major, 0..255. */
  readonly pixels: Uint8Array;
}

/** A training set and a test set with the name and the hash that identify them in every result. */
export interface Dataset {
  /** Printed beside results, e.g. `CIFAR-10` (official pixels only), `CIFAR-10 (JPEG-75)`, `synthetic`. */
  readonly name: string;
  /** SHA-256, hexadecimal, of all training records, then all test records. */
  readonly contentHash: string;
  readonly train: ImageSet;
  readonly test: ImageSet;
}

/** What has to travel beside the records so that a dataset can be put together again. */
export interface DatasetHeader {
  readonly name: string;
  readonly contentHash: string;
  readonly trainCount: number;
  readonly testCount: number;
}

/** The header of a dataset. */
export function datasetHeader(dataset: Dataset): DatasetHeader {
  return { name: dataset.name, contentHash: dataset.contentHash, trainCount: dataset.train.count, testCount: dataset.test.count };
}

/** Length in bytes of all records of a dataset, training and test. */
export function datasetByteLength(dataset: Dataset): number {
  return (dataset.train.count + dataset.test.count) * RECORD_BYTES;
}

/** SHA-256 (hexadecimal) over the training records, then the test records; about 0.2 s for CIFAR-10. */
export function contentHashOf(train: ImageSet, test: ImageSet): string {
  const hash = createHash('sha256');
  for (const set of [train, test]) {
    for (let first = 0; first < set.count; first += HASHED_AT_ONCE) {
      hash.update(encodeRecords(set, first, Math.min(HASHED_AT_ONCE, set.count - first)));
    }
  }
  return hash.digest('hex');
}

const HASHED_AT_ONCE = 512;

/** Puts a dataset together and hashes it. */
export function createDataset(name: string, train: ImageSet, test: ImageSet): Dataset {
  return { name, contentHash: contentHashOf(train, test), train, test };
}

/**
 * The first N images of each split (views, no copy). The content hash stays that of the whole set: it says where the
 * images come from; the limits are in the config.
 */
export function limitDataset(
  dataset: Dataset,
  limits: { readonly trainSamples?: number | undefined; readonly testSamples?: number | undefined },
): Dataset {
  return { ...dataset, train: firstImages(dataset.train, limits.trainSamples), test: firstImages(dataset.test, limits.testSamples) };
}

function firstImages(set: ImageSet, limit: number | undefined): ImageSet {
  if (limit === undefined || limit >= set.count) return set;
  return { count: limit, labels: set.labels.subarray(0, limit), pixels: set.pixels.subarray(0, limit * IMAGE_BYTES) };
}

/** Records [first, first + count) of a split as a new array of count * 3073 bytes. */
export function encodeRecords(set: ImageSet, first: number, count: number): Uint8Array {
  const records = new Uint8Array(count * RECORD_BYTES);
  for (let i = 0; i < count; i++) {
    const image = (first + i) * IMAGE_BYTES;
    records[i * RECORD_BYTES] = set.labels[first + i] as number;
    records.set(set.pixels.subarray(image, image + IMAGE_BYTES), i * RECORD_BYTES + 1);
  }
  return records;
}

/**
 * The dataset's records, training then test, as consecutive byte arrays to stream.
 *
 * @param options.chunkBytes upper bound of one array's length; default 1 MiB. Arrays hold whole records except the first when `offset` cuts one.
 * @param options.offset byte to start at (a resumed transfer); default 0
 */
export function* datasetRecords(
  dataset: Dataset,
  options: { readonly chunkBytes?: number; readonly offset?: number } = {},
): Generator<Uint8Array> {
  const perChunk = Math.max(1, Math.floor((options.chunkBytes ?? 1 << 20) / RECORD_BYTES));
  let skip = options.offset ?? 0;
  for (const set of [dataset.train, dataset.test]) {
    const setBytes = set.count * RECORD_BYTES;
    if (skip >= setBytes) {
      skip -= setBytes;
      continue;
    }
    const firstRecord = Math.floor(skip / RECORD_BYTES);
    let cut = skip - firstRecord * RECORD_BYTES;
    skip = 0;
    for (let first = firstRecord; first < set.count; first += perChunk) {
      const records = encodeRecords(set, first, Math.min(perChunk, set.count - first));
      yield cut > 0 ? records.subarray(cut) : records;
      cut = 0;
    }
  }
}

/**
 * Inverse of {@link datasetRecords}: checks length, labels and content hash.
 *
 * @param chunks the bytes in order, cut anywhere
 * @throws DATA_WRONG_SIZE, DATA_BAD_LABEL, DATA_CHECKSUM
 */
export function datasetFromRecords(chunks: Iterable<Uint8Array>, header: DatasetHeader): Dataset {
  const parts = [...chunks];
  const records = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
  const expectedBytes = (header.trainCount + header.testCount) * RECORD_BYTES;
  if (records.byteLength !== expectedBytes) {
    throw new DeepDefenseError('DATA_WRONG_SIZE', {
      what: `the records of dataset "${header.name}" have the wrong length`,
      expected: `${expectedBytes} bytes (${header.trainCount} + ${header.testCount} records of ${RECORD_BYTES})`,
      got: `${records.byteLength} bytes`,
      todo: 'fetch the dataset again',
    });
  }
  const contentHash = createHash('sha256').update(records).digest('hex');
  if (contentHash !== header.contentHash) {
    throw new DeepDefenseError('DATA_CHECKSUM', {
      what: `the records of dataset "${header.name}" are not the ones announced`,
      expected: `content hash ${header.contentHash}`,
      got: contentHash,
      todo: 'fetch the dataset again',
    });
  }
  const source = `dataset "${header.name}"`;
  const trainBytes = header.trainCount * RECORD_BYTES;
  const train = emptyImageSet(header.trainCount);
  const test = emptyImageSet(header.testCount);
  decodeRecords(records.subarray(0, trainBytes), train, 0, source);
  decodeRecords(records.subarray(trainBytes), test, 0, source);
  return { name: header.name, contentHash, train, test };
}

/** An image set of zeros to decode into. */
export function emptyImageSet(count: number): ImageSet {
  return { count, labels: new Uint8Array(count), pixels: new Uint8Array(count * IMAGE_BYTES) };
}

/**
 * Splits records into labels and pixels of `target`, from image `first` on.
 *
 * @param records a whole number of records
 * @param source where the records come from, for the error message
 * @throws DATA_BAD_LABEL naming source, record number (from 0) and value
 */
export function decodeRecords(records: Uint8Array, target: ImageSet, first: number, source: string): void {
  const count = records.byteLength / RECORD_BYTES;
  for (let i = 0; i < count; i++) {
    const at = i * RECORD_BYTES;
    const label = records[at] as number;
    if (label >= CLASS_COUNT) {
      throw new DeepDefenseError('DATA_BAD_LABEL', {
        what: `record ${i} of ${source} has an impossible label`,
        expected: `0..${CLASS_COUNT - 1}`,
        got: `${label} (byte ${at})`,
        todo: 'the file is damaged or is not CIFAR-10; get it again',
        fields: { source, record: i, label },
      });
    }
    target.labels[first + i] = label;
    target.pixels.set(records.subarray(at + 1, at + RECORD_BYTES), (first + i) * IMAGE_BYTES);
  }
}
