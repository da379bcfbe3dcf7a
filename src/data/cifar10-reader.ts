/** @file Opens CIFAR-10 wherever a path points: an unpacked folder, its parent, or the official archive. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DeepDefenseError } from '../core/index.ts';
import { readArchive } from './cifar10-archive.ts';
import { emptyFolderError, findBatchesFolder, listFolder, readBatchesFolder, unreadable } from './cifar10-folder.ts';
import { CIFAR10_ARCHIVE, CIFAR10_FOLDER, CIFAR10_MD5, type Cifar10Layout, OFFICIAL_LAYOUT, UNVERIFIED_NAME } from './cifar10-layout.ts';
import type { Dataset } from './dataset.ts';

/** What was read, and from where. */
export interface Cifar10Copy {
  readonly dataset: Dataset;
  /** The folder or archive that was read. */
  readonly path: string;
  /** True when it is the official archive, by its MD5. */
  readonly official: boolean;
}

/** Internal parameters; tests use small layouts. */
export interface Cifar10ReaderOptions {
  readonly layout?: Cifar10Layout;
  /** MD5 that makes an archive official. */
  readonly officialMd5?: string;
}

/**
 * Reads CIFAR-10 from `path`: `cifar-10-batches-bin`, a folder that holds it or the archive, or the archive itself.
 * The dataset's name is {@link UNVERIFIED_NAME}; who calls knows better or not.
 *
 * @throws DATA_MISSING, DATA_BAD_MAGIC, DATA_TRUNCATED, DATA_WRONG_SIZE, DATA_BAD_LABEL, STORAGE_FAILED
 */
export async function readCifar10(path: string, options: Cifar10ReaderOptions = {}): Promise<Cifar10Copy> {
  const { layout = OFFICIAL_LAYOUT, officialMd5 = CIFAR10_MD5 } = options;
  const fromArchive = async (archive: string): Promise<Cifar10Copy> => {
    const { dataset, md5 } = await readArchive(archive, layout, UNVERIFIED_NAME);
    return { dataset, path: archive, official: md5 === officialMd5 };
  };

  const kind = await kindOf(path);
  if (kind === 'missing') throw missingPathError(path);
  if (kind === 'file') return fromArchive(path);
  const folder = await findBatchesFolder(path, layout);
  if (folder !== undefined) return { dataset: await readBatchesFolder(folder, layout, UNVERIFIED_NAME), path: folder, official: false };
  if ((await listFolder(path)).includes(CIFAR10_ARCHIVE)) return fromArchive(join(path, CIFAR10_ARCHIVE));
  throw await emptyFolderError(path, layout);
}

/** True when `folder` has an unpacked or archived copy, complete or not. */
export async function holdsCifar10(folder: string, layout: Cifar10Layout = OFFICIAL_LAYOUT): Promise<boolean> {
  return (await findBatchesFolder(folder, layout)) !== undefined || (await listFolder(folder)).includes(CIFAR10_ARCHIVE);
}

async function kindOf(path: string): Promise<'missing' | 'file' | 'folder'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return 'missing';
    throw unreadable(path, error);
  }
}

function missingPathError(path: string): DeepDefenseError {
  return new DeepDefenseError('DATA_MISSING', {
    what: `there is nothing at "${path}"`,
    expected: `the folder ${CIFAR10_FOLDER}, a folder that holds it, or the archive ${CIFAR10_ARCHIVE}`,
    got: 'no such file or folder',
    todo: 'give another path, or get the data with "deepdefense data get"',
    fields: { path },
  });
}
