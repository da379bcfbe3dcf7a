/** @file Download of one file over HTTP: progress, resume, time-outs, checksum, and the final name only for a complete file. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeepDefenseError, isDeepDefenseError, withFileLock } from '../core/index.ts';

/** How far a download is. */
export interface DownloadProgress {
  /** Bytes on disk, those of an earlier try included. */
  readonly receivedBytes: number;
  /** Undefined when the server doesn't say. */
  readonly totalBytes: number | undefined;
}

/** Options of {@link downloadFile}. */
export interface DownloadOptions {
  readonly url: string;
  /** Expected MD5, hexadecimal. */
  readonly md5: string;
  /** A try ends when no byte came for this long; default 30 000. */
  readonly stallTimeoutMs?: number;
  /** Tries in all, each going on where the last one ended; default 4. */
  readonly attempts?: number;
  /** Pause before the second try, doubled for each further one; default 1000. */
  readonly retryDelayMs?: number;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
}

/** A failure that another try may mend. */
class TransientFailure extends Error {}

/**
 * Downloads to `path` through `path.part`, which a later call resumes. Only one process at a time.
 *
 * @throws DATA_DOWNLOAD when the server can't be reached, refuses, or stalls; DATA_CHECKSUM when what came is something else;
 * STORAGE_FAILED; INTERRUPTED when `signal` fires (the part stays)
 */
export async function downloadFile(path: string, options: DownloadOptions): Promise<void> {
  const { attempts = 4, retryDelayMs = 1000, signal } = options;
  await storing(path, () => mkdir(dirname(path), { recursive: true }));
  await withFileLock(`${path}.lock`, { purpose: `downloading "${path}"`, code: 'DATA_DOWNLOAD' }, async () => {
    for (let attempt = 1; ; attempt++) {
      try {
        const resumedBytes = await transfer(path, options);
        if (await checksumMatches(path, options, resumedBytes > 0 && attempt < attempts)) break;
      } catch (error) {
        if (signal?.aborted) throw interrupted(options.url);
        if (!(error instanceof TransientFailure)) throw error;
        if (attempt >= attempts) throw downloadError(options.url, `${error.message} (try ${attempt} of ${attempts})`, path, error.cause);
      }
      await sleep(retryDelayMs * 2 ** (attempt - 1), undefined, { ...(signal && { signal }) }).catch(() => {
        throw interrupted(options.url);
      });
    }
    await storing(path, () => rename(partOf(path), path));
    await rm(noteOf(path), { force: true });
  });
}

/** One request; appends to the part or begins it anew. Returns how many bytes of an earlier try were kept. */
async function transfer(path: string, options: DownloadOptions): Promise<number> {
  const { url, stallTimeoutMs = 30_000, onProgress } = options;
  const stall = new AbortController();
  const signal = options.signal === undefined ? stall.signal : AbortSignal.any([stall.signal, options.signal]);
  let timer: NodeJS.Timeout | undefined;
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => stall.abort(), stallTimeoutMs);
  };
  try {
    alive();
    const have = await resumableBytes(path, url);
    const response = await fetch(url, { signal, headers: await requestHeaders(path, have) });
    const { start, totalBytes } = await readStatus(path, url, response, have);
    if (totalBytes !== undefined && start === totalBytes) {
      await response.body?.cancel();
      return start;
    }
    await storing(path, () => writeFile(noteOf(path), JSON.stringify({ url, validator: validatorOf(response) })));
    const handle = await storing(path, () => open(partOf(path), start > 0 ? 'a' : 'w'));
    let receivedBytes = start;
    try {
      onProgress?.({ receivedBytes, totalBytes });
      for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        alive();
        await storing(path, () => writeAll(handle, chunk));
        receivedBytes += chunk.byteLength;
        onProgress?.({ receivedBytes, totalBytes });
      }
    } finally {
      await handle.close();
    }
    if (totalBytes !== undefined && receivedBytes < totalBytes) {
      throw new TransientFailure(`the connection closed after ${receivedBytes} of ${totalBytes} bytes`);
    }
    return start;
  } catch (error) {
    if (error instanceof TransientFailure || isDeepDefenseError(error)) throw error;
    const reason = stall.signal.aborted ? `no data for ${stallTimeoutMs} ms` : reasonOf(error);
    throw new TransientFailure(reason, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** Where the body begins in the file, and the file's length. */
async function readStatus(
  path: string,
  url: string,
  response: Response,
  have: number,
): Promise<{ start: number; totalBytes: number | undefined }> {
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (response.status === 200) {
    const length = response.headers.get('content-length');
    return { start: 0, totalBytes: length === null ? undefined : Number(length) };
  }
  if (response.status === 206 && range?.[1] !== undefined && Number(range[1]) === have)
    return { start: have, totalBytes: Number(range[2]) };
  // "Range not satisfiable": nothing is missing, or the part is not a part of this file.
  if (response.status === 416 && range !== null && Number(range[2]) === have) return { start: have, totalBytes: have };
  await response.body?.cancel();
  if (response.status === 206 || response.status === 416) {
    await rm(partOf(path), { force: true });
    throw new TransientFailure(
      `the server answered ${response.status} with range "${response.headers.get('content-range') ?? ''}", ${have} bytes were there`,
    );
  }
  const answer = `the server answered ${response.status} ${response.statusText}`.trim();
  if (response.status >= 500 || response.status === 408 || response.status === 429) throw new TransientFailure(answer);
  throw downloadError(url, answer, path);
}

async function requestHeaders(path: string, have: number): Promise<Record<string, string>> {
  // A server may compress on the way otherwise; byte ranges and checksum are those of the file itself.
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (have === 0) return headers;
  headers.range = `bytes=${have}-`;
  const { validator } = await readNote(path);
  if (validator !== undefined) headers['if-range'] = validator;
  return headers;
}

/** A strong ETag, else the date: what If-Range accepts (RFC 9110, 13.1.5). */
function validatorOf(response: Response): string | undefined {
  const etag = response.headers.get('etag');
  if (etag !== null && !etag.startsWith('W/')) return etag;
  return response.headers.get('last-modified') ?? undefined;
}

async function resumableBytes(path: string, url: string): Promise<number> {
  if ((await readNote(path)).url !== url) return 0;
  const { size } = await stat(partOf(path)).catch(() => ({ size: 0 }));
  return size;
}

async function readNote(path: string): Promise<{ url?: string; validator?: string }> {
  try {
    return JSON.parse(await readFile(noteOf(path), 'utf8')) as { url?: string; validator?: string };
  } catch {
    return {};
  }
}

/** False when a resumed part didn't fit and another try from the start is worth it. */
async function checksumMatches(path: string, options: DownloadOptions, mayRetry: boolean): Promise<boolean> {
  const hash = createHash('md5');
  for await (const chunk of createReadStream(partOf(path), { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  const got = hash.digest('hex');
  if (got === options.md5) return true;
  await rm(partOf(path), { force: true });
  await rm(noteOf(path), { force: true });
  if (mayRetry) return false;
  throw new DeepDefenseError('DATA_CHECKSUM', {
    what: `the file downloaded from "${options.url}" is not the expected one`,
    expected: `MD5 ${options.md5}`,
    got: `MD5 ${got}; it has been removed`,
    todo: 'try again; a proxy or login page may have answered in place of the server',
    fields: { url: options.url, md5: got },
  });
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength; ) at += (await handle.write(chunk, at)).bytesWritten;
}

async function storing<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw new DeepDefenseError('STORAGE_FAILED', {
      what: `can't write "${path}"`,
      got: reasonOf(cause),
      todo: 'check free space and permissions, or set DEEPDEFENSE_CACHE to another folder',
      fields: { path },
      cause,
    });
  }
}

function downloadError(url: string, got: string, path: string, cause?: unknown): DeepDefenseError {
  return new DeepDefenseError('DATA_DOWNLOAD', {
    what: `can't download "${url}"`,
    got,
    todo: `try again (what has come is kept in "${partOf(path)}"), or get the file another way and give its path with --data`,
    fields: { url, path },
    cause,
  });
}

function interrupted(url: string): DeepDefenseError {
  return new DeepDefenseError('INTERRUPTED', {
    what: `the download of "${url}" was interrupted`,
    todo: 'run the command again to go on',
    fields: { url },
  });
}

/** The innermost message: fetch hides it in a chain of causes. */
function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  if (!(inner instanceof Error)) return String(inner);
  return inner.message === '' ? ((inner as NodeJS.ErrnoException).code ?? inner.name) : inner.message;
}

const partOf = (path: string): string => `${path}.part`;
const noteOf = (path: string): string => `${path}.part.json`;
