/** @file Gets the official CIFAR-10 into the cache: download, check, unpack. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import { isKnownOfficial, rememberOfficial } from './cache-folder.ts';
import { readArchive } from './cifar10-archive.ts';
import {
  CIFAR10_ARCHIVE,
  CIFAR10_CLASS_NAMES,
  CIFAR10_FOLDER,
  CIFAR10_MD5,
  CIFAR10_META,
  CIFAR10_URL,
  type Cifar10Layout,
  OFFICIAL_LAYOUT,
} from './cifar10-layout.ts';
import { readCifar10 } from './cifar10-reader.ts';
import type { Dataset } from './dataset.ts';
import { type DownloadOptions, type DownloadProgress, downloadFile } from './download.ts';

/** The name that only official pixels get. */
export const OFFICIAL_NAME = 'CIFAR-10';

/** What is being done; for a progress bar. */
export type DataProgress =
  | ({ readonly phase: 'downloading'; readonly url: string } & DownloadProgress)
  | { readonly phase: 'unpacking' | 'reading'; readonly path: string };

/** Options of {@link getCifar10}. */
export interface GetCifar10Options extends Omit<DownloadOptions, 'url' | 'md5' | 'onProgress'> {
  readonly cacheFolder: string;
  /** Another place that has the official archive; default the authors' server. */
  readonly url?: string;
  readonly onProgress?: (progress: DataProgress) => void;
  /** Internal: tests use a small layout and their own checksum. */
  readonly layout?: Cifar10Layout;
  readonly md5?: string;
}

/**
 * The official dataset from the cache, else downloaded into it. The cache then holds the unpacked folder and a note of its content hash;
 * the archive is removed. A damaged or unverified copy in the cache is replaced.
 *
 * @throws DATA_DOWNLOAD, DATA_CHECKSUM, STORAGE_FAILED, INTERRUPTED
 */
export async function getCifar10(options: GetCifar10Options): Promise<Dataset> {
  const { cacheFolder, url = CIFAR10_URL, onProgress, layout = OFFICIAL_LAYOUT, md5 = CIFAR10_MD5, ...transfer } = options;
  const present = await verifiedCopy(cacheFolder, layout, md5);
  if (present !== undefined) return present;
  const archive = join(cacheFolder, CIFAR10_ARCHIVE);
  await downloadFile(archive, {
    ...transfer,
    url,
    md5,
    onProgress: (progress) => onProgress?.({ phase: 'downloading', url, ...progress }),
  });
  onProgress?.({ phase: 'unpacking', path: archive });
  return unpack(archive, cacheFolder, layout, md5);
}

async function verifiedCopy(cacheFolder: string, layout: Cifar10Layout, md5: string): Promise<Dataset | undefined> {
  try {
    const { dataset, official } = await readCifar10(cacheFolder, { layout, officialMd5: md5 });
    if (official || (await isKnownOfficial(cacheFolder, dataset.contentHash, md5))) return { ...dataset, name: OFFICIAL_NAME };
  } catch (error) {
    if (!isDeepDefenseError(error)) throw error;
  }
  return undefined;
}

async function unpack(archive: string, cacheFolder: string, layout: Cifar10Layout, md5: string): Promise<Dataset> {
  const folder = join(cacheFolder, CIFAR10_FOLDER);
  try {
    await mkdir(cacheFolder, { recursive: true });
    const temporary = await mkdtemp(`${folder}.tmp-`);
    try {
      const { dataset } = await readArchive(archive, layout, OFFICIAL_NAME, (fileName, bytes) =>
        writeFile(join(temporary, fileName), bytes),
      );
      await writeFile(join(temporary, CIFAR10_META), `${CIFAR10_CLASS_NAMES.join('\n')}\n\n`);
      await rm(folder, { recursive: true, force: true });
      await rename(temporary, folder);
      await rememberOfficial(cacheFolder, dataset.contentHash, md5);
      await rm(archive, { force: true });
      return dataset;
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } catch (cause) {
    if (isDeepDefenseError(cause)) throw cause;
    throw new DeepDefenseError('STORAGE_FAILED', {
      what: `can't unpack "${archive}" into "${folder}"`,
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'check free space (190 MB are needed) and permissions, or set DEEPDEFENSE_CACHE to another folder',
      fields: { path: folder },
      cause,
    });
  }
}
