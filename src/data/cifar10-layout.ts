/**
 * @file The official CIFAR-10 binary layout (https://www.cs.toronto.edu/~kriz/cifar.html): which files there are, how long each is, and
 * how files from a folder or an archive become a dataset.
 */
import { createHash } from 'node:crypto';
import { DeepDefenseError } from '../core/index.ts';
import { type Dataset, decodeRecords, emptyImageSet, RECORD_BYTES } from './dataset.ts';

/** Folder inside the official archive. */
export const CIFAR10_FOLDER = 'cifar-10-batches-bin';
/** Name of the official archive of the binary version. */
export const CIFAR10_ARCHIVE = 'cifar-10-binary.tar.gz';
/** Where the archive is published, and its MD5 as published on https://www.cs.toronto.edu/~kriz/cifar.html. */
export const CIFAR10_URL = 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz';
export const CIFAR10_MD5 = 'c32a1d4ab5d03f1284b67883e8d87530';
/** Text file with one class name a line. */
export const CIFAR10_META = 'batches.meta.txt';
/** Class names by label. */
export const CIFAR10_CLASS_NAMES: readonly string[] = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
];

/** Name of a dataset in this layout whose pixels are not known to be the official ones. */
export const UNVERIFIED_NAME = 'CIFAR-10 layout, unverified copy';

/** Which files a layout has. Tests use small ones. */
export interface Cifar10Layout {
  readonly trainFiles: readonly string[];
  readonly testFile: string;
  readonly recordsPerFile: number;
}

/** 5 x 10 000 training images and 10 000 test images. */
export const OFFICIAL_LAYOUT: Cifar10Layout = {
  trainFiles: [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`),
  testFile: 'test_batch.bin',
  recordsPerFile: 10_000,
};

/** All binary files of a layout, in record order. */
export function layoutFiles(layout: Cifar10Layout): readonly string[] {
  return [...layout.trainFiles, layout.testFile];
}

/**
 * Checks the length of one binary file.
 *
 * @throws DATA_TRUNCATED when it is too short or ends inside a record; DATA_WRONG_SIZE when it is too long
 */
export function checkFileSize(layout: Cifar10Layout, path: string, bytes: number): void {
  const expectedBytes = layout.recordsPerFile * RECORD_BYTES;
  if (bytes === expectedBytes) return;
  const expected = `${expectedBytes} bytes (${layout.recordsPerFile} records of ${RECORD_BYTES})`;
  const partial = bytes % RECORD_BYTES;
  const got = `${bytes} bytes (${Math.floor(bytes / RECORD_BYTES)} records${partial === 0 ? '' : ` and ${partial} bytes of another`})`;
  const fields = { path, bytes, expectedBytes };
  if (bytes < expectedBytes || partial !== 0) {
    throw new DeepDefenseError('DATA_TRUNCATED', {
      what: `"${path}" is cut off`,
      expected,
      got,
      todo: 'copy or unpack it again, or get a new copy with "deepdefense data get"',
      fields,
    });
  }
  throw new DeepDefenseError('DATA_WRONG_SIZE', {
    what: `"${path}" holds more records than CIFAR-10 has`,
    expected,
    got,
    todo: 'check that this is the official binary version, or get it with "deepdefense data get"',
    fields,
  });
}

/**
 * Collects the files of a layout as they come in, in any order, and makes a dataset of them. A file's bytes are held only until all
 * files before it have been hashed, so that reading in record order needs one file of extra memory.
 */
export class Cifar10Assembler {
  readonly #layout: Cifar10Layout;
  readonly #files: readonly string[];
  readonly #train;
  readonly #test;
  readonly #hash = createHash('sha256');
  readonly #added = new Set<string>();
  readonly #waiting = new Map<string, Uint8Array>();
  #hashedFiles = 0;

  constructor(layout: Cifar10Layout) {
    this.#layout = layout;
    this.#files = layoutFiles(layout);
    this.#train = emptyImageSet(layout.trainFiles.length * layout.recordsPerFile);
    this.#test = emptyImageSet(layout.recordsPerFile);
  }

  /**
   * Takes one file's bytes; don't change them afterwards.
   *
   * @param fileName one of the layout's files
   * @param path shown in errors
   * @throws DATA_TRUNCATED, DATA_WRONG_SIZE, DATA_BAD_LABEL; DATA_BAD_MAGIC when the file came before
   */
  add(fileName: string, path: string, records: Uint8Array): void {
    if (this.#added.has(fileName)) {
      throw new DeepDefenseError('DATA_BAD_MAGIC', {
        what: `"${path}" comes a second time`,
        expected: 'each file once',
        todo: 'get the archive with "deepdefense data get"',
        fields: { path },
      });
    }
    checkFileSize(this.#layout, path, records.byteLength);
    const isTest = fileName === this.#layout.testFile;
    const first = isTest ? 0 : this.#layout.trainFiles.indexOf(fileName) * this.#layout.recordsPerFile;
    decodeRecords(records, isTest ? this.#test : this.#train, first, `"${path}"`);
    this.#added.add(fileName);
    this.#waiting.set(fileName, records);
    for (;;) {
      const next = this.#files[this.#hashedFiles];
      const bytes = next === undefined ? undefined : this.#waiting.get(next);
      if (next === undefined || bytes === undefined) return;
      this.#hash.update(bytes);
      this.#waiting.delete(next);
      this.#hashedFiles++;
    }
  }

  /** Files of the layout that have not come in. */
  missing(): readonly string[] {
    return this.#files.filter((file) => !this.#added.has(file));
  }

  /** The dataset; all files must be in. */
  finish(name: string): Dataset {
    return { name, contentHash: this.#hash.digest('hex'), train: this.#train, test: this.#test };
  }
}

/**
 * Checks the class names, so that another dataset in the same layout isn't taken for CIFAR-10.
 *
 * @throws DATA_BAD_MAGIC
 */
export function checkMeta(path: string, text: string): void {
  const names = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (names.join() === CIFAR10_CLASS_NAMES.join()) return;
  throw new DeepDefenseError('DATA_BAD_MAGIC', {
    what: `"${path}" doesn't list the classes of CIFAR-10`,
    expected: CIFAR10_CLASS_NAMES.join(', '),
    got: `"${names.join(', ').slice(0, 200)}"`,
    todo: 'check that this is the official binary version, or get it with "deepdefense data get"',
    fields: { path },
  });
}

/** The error for a folder or archive that is another published version of CIFAR; undefined when `names` shows none of them. */
export function otherVersionError(path: string, names: readonly string[]): DeepDefenseError | undefined {
  const bases = new Set(names.map((name) => name.replace(/\/$/, '').split('/').pop() as string));
  const version =
    bases.has('data_batch_1') || bases.has('cifar-10-batches-py')
      ? 'the Python (pickle) version of CIFAR-10'
      : bases.has('data_batch_1.mat') || bases.has('cifar-10-batches-mat')
        ? 'the Matlab version of CIFAR-10'
        : bases.has('cifar-100-binary') || bases.has('fine_label_names.txt') || bases.has('cifar-100-python')
          ? 'CIFAR-100'
          : undefined;
  if (version === undefined) return undefined;
  return new DeepDefenseError('DATA_BAD_MAGIC', {
    what: `"${path}" is ${version}`,
    expected: `the binary version of CIFAR-10 (${CIFAR10_ARCHIVE}, or its folder ${CIFAR10_FOLDER})`,
    got: [...bases].slice(0, 8).join(', '),
    todo: `get the binary version with "deepdefense data get", or from ${CIFAR10_URL}`,
    fields: { path },
  });
}
