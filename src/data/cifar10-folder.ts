/** @file Reads CIFAR-10 from an unpacked folder in the official layout. */
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DeepDefenseError } from '../core/index.ts';
import {
  CIFAR10_ARCHIVE,
  CIFAR10_FOLDER,
  CIFAR10_META,
  Cifar10Assembler,
  type Cifar10Layout,
  checkFileSize,
  checkMeta,
  layoutFiles,
  otherVersionError,
} from './cifar10-layout.ts';
import type { Dataset } from './dataset.ts';

/**
 * The folder with the binary files: `folder` itself or its `cifar-10-batches-bin`; undefined when neither has any of them.
 */
export async function findBatchesFolder(folder: string, layout: Cifar10Layout): Promise<string | undefined> {
  const wanted = new Set(layoutFiles(layout));
  for (const candidate of [folder, join(folder, CIFAR10_FOLDER)]) {
    if ((await listFolder(candidate)).some((name) => wanted.has(name))) return candidate;
  }
  return undefined;
}

/** Names in a folder; none when it doesn't exist or isn't a folder. */
export async function listFolder(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw unreadable(folder, error);
  }
}

/**
 * Reads the files of `folder` (the one that holds them), checks them and hashes their records.
 *
 * @throws DATA_MISSING, DATA_TRUNCATED, DATA_WRONG_SIZE, DATA_BAD_LABEL, DATA_BAD_MAGIC
 */
export async function readBatchesFolder(folder: string, layout: Cifar10Layout, name: string): Promise<Dataset> {
  const present = new Set(await listFolder(folder));
  const missing = layoutFiles(layout).filter((file) => !present.has(file));
  if (missing.length > 0) {
    throw new DeepDefenseError('DATA_MISSING', {
      what: `"${folder}" lacks ${missing.join(', ')}`,
      expected: layoutFiles(layout).join(', '),
      got: [...present].filter((file) => layoutFiles(layout).includes(file)).join(', '),
      todo: 'unpack the archive again, or get a new copy with "deepdefense data get"',
      fields: { path: folder, missing },
    });
  }
  if (present.has(CIFAR10_META)) checkMeta(join(folder, CIFAR10_META), await readFile(join(folder, CIFAR10_META), 'utf8'));
  const assembler = new Cifar10Assembler(layout);
  // All sizes first: a user with a bad copy shouldn't wait for the good files.
  for (const file of layoutFiles(layout)) checkFileSize(layout, join(folder, file), (await stat(join(folder, file))).size);
  for (const file of layoutFiles(layout)) assembler.add(file, join(folder, file), await readWhole(join(folder, file)));
  return assembler.finish(name);
}

/** The error for a folder that holds nothing of the layout. */
export async function emptyFolderError(folder: string, layout: Cifar10Layout): Promise<DeepDefenseError> {
  const names = await listFolder(folder);
  const inner = await Promise.all(names.filter((name) => name.startsWith('cifar-')).map((name) => listFolder(join(folder, name))));
  return (
    otherVersionError(folder, [...names, ...inner.flat()]) ??
    new DeepDefenseError('DATA_MISSING', {
      what: `"${folder}" holds no CIFAR-10 in the binary layout`,
      expected: `${layoutFiles(layout).join(', ')} here or in a folder ${CIFAR10_FOLDER}, or the archive ${CIFAR10_ARCHIVE}`,
      got:
        names.length === 0
          ? 'an empty folder'
          : names
              .slice(0, 8)
              .map((name) => `"${name}"`)
              .join(', '),
      todo: 'give the folder or the archive with --data, or get it with "deepdefense data get"',
      fields: { path: folder },
    })
  );
}

async function readWhole(path: string): Promise<Uint8Array> {
  try {
    const handle = await open(path);
    try {
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** The error for a path that is there but can't be read. */
export function unreadable(path: string, cause: unknown): DeepDefenseError {
  return new DeepDefenseError('STORAGE_FAILED', {
    what: `can't read "${path}"`,
    got: cause instanceof Error ? cause.message : String(cause),
    todo: 'check the permissions',
    fields: { path },
    cause,
  });
}
