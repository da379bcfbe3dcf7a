/** @file Finds and opens the dataset that a config names. */
import { DeepDefenseError } from '../core/index.ts';
import { cacheFolderOf, type Environment, isKnownOfficial, rememberOfficial } from './cache-folder.ts';
import { CIFAR10_ARCHIVE, CIFAR10_FOLDER, CIFAR10_MD5, type Cifar10Layout, OFFICIAL_LAYOUT, UNVERIFIED_NAME } from './cifar10-layout.ts';
import { holdsCifar10, readCifar10 } from './cifar10-reader.ts';
import type { Dataset } from './dataset.ts';
import type { DownloadOptions } from './download.ts';
import { type DataProgress, getCifar10, OFFICIAL_NAME } from './get-cifar10.ts';
import { syntheticDataset } from './synthetic.ts';

/** Which dataset to open, and where to look for it. */
export interface OpenDatasetOptions {
  readonly source: 'cifar10' | 'synthetic';
  /** Folder or archive; when given, nothing else is looked at. */
  readonly path?: string | undefined;
  /** Name of the variant, used when the pixels are not known to be the official ones. */
  readonly label?: string | undefined;
  /** Default: from the environment, else `~/.cache/deepdefense`. */
  readonly cacheFolder?: string | undefined;
  /** Default `process.env`; DEEPDEFENSE_DATA, DEEPDEFENSE_CACHE and XDG_CACHE_HOME are read. */
  readonly env?: Environment | undefined;
  /** Download the official archive when nothing is found; default false. */
  readonly download?: boolean | undefined;
  /** Settings of the download, its URL included. */
  readonly downloadOptions?: Partial<Pick<DownloadOptions, 'url' | 'stallTimeoutMs' | 'attempts' | 'retryDelayMs'>> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DataProgress) => void) | undefined;
  /** Internal: tests use a small layout and their own checksum. */
  readonly layout?: Cifar10Layout;
  readonly officialMd5?: string;
}

/** A place where CIFAR-10 may be. */
export interface DataPlace {
  readonly kind: 'path' | 'environment' | 'cache';
  /** Undefined: this kind of place isn't configured. */
  readonly path: string | undefined;
}

/** A dataset with where it came from. */
export interface OpenedDataset {
  readonly dataset: Dataset;
  readonly origin: DataPlace['kind'] | 'download' | 'built-in';
  /** The folder or archive that was read; undefined for the built-in set. */
  readonly path: string | undefined;
  /** True when the pixels are known to be those of the official CIFAR-10. */
  readonly official: boolean;
}

/** Places in the order in which they are looked at; the first that is configured explicitly (path, environment) is the only one used. */
export function dataPlaces(options: Pick<OpenDatasetOptions, 'path' | 'env' | 'cacheFolder'>): readonly DataPlace[] {
  const env = options.env ?? process.env;
  return [
    { kind: 'path', path: options.path },
    { kind: 'environment', path: env.DEEPDEFENSE_DATA ? env.DEEPDEFENSE_DATA : undefined },
    { kind: 'cache', path: options.cacheFolder ?? cacheFolderOf(env) },
  ];
}

/**
 * Opens a dataset, whole. CIFAR-10 is looked for at `path`, else at DEEPDEFENSE_DATA, else in the cache, else (when asked for) downloaded.
 * A path given explicitly must hold the data: there is no silent fall-back to another place.
 *
 * @throws DATA_MISSING naming each place, and the reader's and the download's errors
 */
export async function openDataset(options: OpenDatasetOptions): Promise<Dataset> {
  return (await openDatasetWithOrigin(options)).dataset;
}

/** As {@link openDataset}, with where the data came from. */
export async function openDatasetWithOrigin(options: OpenDatasetOptions): Promise<OpenedDataset> {
  if (options.source === 'synthetic') return { dataset: syntheticDataset(), origin: 'built-in', path: undefined, official: false };
  const { layout = OFFICIAL_LAYOUT, officialMd5 = CIFAR10_MD5, onProgress } = options;
  const places = dataPlaces(options);
  const cacheFolder = places.find((place) => place.kind === 'cache')?.path as string;
  for (const { kind, path } of places) {
    if (path === undefined || (kind === 'cache' && !(await holdsCifar10(path, layout)))) continue;
    onProgress?.({ phase: 'reading', path });
    const copy = await readCifar10(path, { layout, officialMd5 });
    const official = copy.official || (await isKnownOfficial(cacheFolder, copy.dataset.contentHash, officialMd5));
    if (copy.official) await rememberOfficial(cacheFolder, copy.dataset.contentHash, officialMd5);
    const name = official ? OFFICIAL_NAME : unofficialName(options.label);
    return { dataset: { ...copy.dataset, name }, origin: kind, path: copy.path, official };
  }
  if (options.download !== true) throw nothingFound(places);
  const dataset = await getCifar10({
    ...options.downloadOptions,
    cacheFolder,
    layout,
    md5: officialMd5,
    ...(onProgress && { onProgress }),
    ...(options.signal && { signal: options.signal }),
  });
  return { dataset, origin: 'download', path: cacheFolder, official: true };
}

/** A label can't claim the official name: results would be compared with figures for other pixels. */
function unofficialName(label: string | undefined): string {
  const trimmed = label?.trim() ?? '';
  if (trimmed === '') return UNVERIFIED_NAME;
  return /^cifar[\s_-]*10$/i.test(trimmed) ? UNVERIFIED_NAME : trimmed;
}

function nothingFound(places: readonly DataPlace[]): DeepDefenseError {
  const shown: Record<DataPlace['kind'], string> = {
    path: 'path given (--data, data.path)',
    environment: 'DEEPDEFENSE_DATA',
    cache: 'cache',
  };
  const got = places.map(({ kind, path }) => `${shown[kind]}: ${path === undefined ? 'not set' : `nothing in "${path}"`}`).join('; ');
  return new DeepDefenseError('DATA_MISSING', {
    what: 'CIFAR-10 was not found',
    expected: `the folder ${CIFAR10_FOLDER} or the archive ${CIFAR10_ARCHIVE} in one of the places`,
    got,
    todo: 'run "deepdefense data get", or give --data PATH, or use the built-in set with --set data.source=synthetic',
    fields: { places },
  });
}
