/** @file Atomic file writes: a reader sees the old file or the new one, never a part. */
import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { diskFault } from './disk-faults.ts';
import { DeepDefenseError } from './errors.ts';

/** Writes `content` to `path` through a temporary file, fsync and rename; makes the folder where missing. */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | readonly Uint8Array[],
  { mode = 0o666 }: { readonly mode?: number } = {},
): Promise<void> {
  const temporary = `${path}.tmp-${process.pid}-${Date.now().toString(36)}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await diskFault();
    const handle = await open(temporary, 'wx', mode);
    try {
      for (const part of isParts(content) ? content : [content]) await handle.writeFile(part);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new DeepDefenseError('STORAGE_FAILED', {
      what: `can't write "${path}"`,
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'check free space and permissions of the folder',
      fields: { path },
      cause,
    });
  }
}

function isParts(content: string | Uint8Array | readonly Uint8Array[]): content is readonly Uint8Array[] {
  return Array.isArray(content);
}

/** SHA-256 of bytes or text, hexadecimal. */
export function sha256(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
