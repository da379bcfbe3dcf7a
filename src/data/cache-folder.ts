/** @file Where the cache is, and the note in it that says which content is known to be the official CIFAR-10. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../core/index.ts';

/** Environment variables by name, as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Cache folder: DEEPDEFENSE_CACHE, else `deepdefense` in XDG_CACHE_HOME, else in `~/.cache`. An empty variable counts as unset. */
export function cacheFolderOf(env: Environment): string {
  if (env.DEEPDEFENSE_CACHE) return env.DEEPDEFENSE_CACHE;
  return join(env.XDG_CACHE_HOME ? env.XDG_CACHE_HOME : join(homedir(), '.cache'), 'deepdefense');
}

const VERIFIED_FILE = 'cifar-10.verified.json';

/**
 * Notes that this content came out of an archive with the published MD5, so that unpacked copies of it can be told from others later.
 * Best effort: without the note a copy is only named more cautiously.
 */
export async function rememberOfficial(cacheFolder: string, contentHash: string, md5: string): Promise<void> {
  try {
    await writeFileAtomic(join(cacheFolder, VERIFIED_FILE), `${JSON.stringify({ contentHash, archiveMd5: md5 }, null, 2)}\n`);
  } catch {
    // A read-only cache is fine.
  }
}

/** True when the cache notes this content hash as the official CIFAR-10. */
export async function isKnownOfficial(cacheFolder: string, contentHash: string, md5: string): Promise<boolean> {
  try {
    const note = JSON.parse(await readFile(join(cacheFolder, VERIFIED_FILE), 'utf8')) as { contentHash?: unknown; archiveMd5?: unknown };
    return note.contentHash === contentHash && note.archiveMd5 === md5;
  } catch {
    return false;
  }
}
