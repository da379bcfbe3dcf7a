/** @file Reads CIFAR-10 from the official archive (gzip'd tar) without unpacking it to disk. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import {
  CIFAR10_ARCHIVE,
  CIFAR10_META,
  Cifar10Assembler,
  type Cifar10Layout,
  checkFileSize,
  checkMeta,
  layoutFiles,
  otherVersionError,
} from './cifar10-layout.ts';
import { RECORD_BYTES } from './dataset.ts';
import { unreadable } from './cifar10-folder.ts';
import type { Dataset } from './dataset.ts';

/** What an archive may hold besides twice its layout. */
const SLACK_BYTES = 64 * 2 ** 20;
const MOST_ENTRIES = 10_000;
/** The list of class names has 62 bytes. */
const MOST_META_BYTES = 64 * 1024;

/** What reading an archive gives. */
export interface ArchiveContent {
  readonly dataset: Dataset;
  /** MD5 of the archive, hexadecimal: the checksum that its authors publish. */
  readonly md5: string;
}

/**
 * Reads, checks and hashes an archive; about 2 s for the official one.
 *
 * @param onFile called with each binary file's bytes, e.g. to unpack them
 * @throws DATA_BAD_MAGIC when it is no gzip'd tar or holds another layout; DATA_TRUNCATED, DATA_WRONG_SIZE, DATA_BAD_LABEL
 */
export async function readArchive(
  path: string,
  layout: Cifar10Layout,
  name: string,
  onFile?: (fileName: string, bytes: Uint8Array) => Promise<void>,
): Promise<ArchiveContent> {
  await checkGzipMagic(path);
  const md5 = createHash('md5');
  const digest = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      md5.update(chunk);
      done(null, chunk);
    },
  });
  const assembler = new Cifar10Assembler(layout);
  const wanted = new Set(layoutFiles(layout));
  const seen: string[] = [];
  const tar = extract();
  const mostBytes = 2 * wanted.size * layout.recordsPerFile * RECORD_BYTES + SLACK_BYTES;
  let unpacked = 0;
  const bounded = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      unpacked += chunk.length;
      done(unpacked > mostBytes ? tooLarge(path, `more than ${mostBytes} bytes`) : null, chunk);
    },
  });

  const reading = (async () => {
    for await (const entry of tar) {
      if (seen.push(entry.header.name) > MOST_ENTRIES) throw tooLarge(path, `more than ${MOST_ENTRIES} entries`);
      const fileName = entry.header.name.split('/').pop() as string;
      const shown = `${path}:${entry.header.name}`;
      const isBatch = entry.header.type === 'file' && wanted.has(fileName);
      if (!isBatch && fileName !== CIFAR10_META) {
        entry.resume();
        continue;
      }
      // Before the bytes are read, so that a header can't make us hold more than the layout has.
      if (isBatch) checkFileSize(layout, shown, entry.header.size ?? 0);
      else if ((entry.header.size ?? 0) > MOST_META_BYTES) throw tooLarge(shown, `${entry.header.size} bytes`);
      const chunks: Buffer[] = [];
      for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      if (isBatch) {
        assembler.add(fileName, shown, bytes);
        await onFile?.(fileName, bytes);
      } else {
        checkMeta(shown, bytes.toString('utf8'));
      }
    }
  })();

  const results = await Promise.allSettled([
    pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), digest, createGunzip({ chunkSize: 1 << 20 }), bounded, tar),
    reading,
  ]);
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
  if (failures.length > 0) throw failures.find(isDeepDefenseError) ?? streamError(path, failures[0], seen);
  const missing = assembler.missing();
  if (missing.length > 0) {
    throw (
      otherVersionError(path, seen) ??
      new DeepDefenseError('DATA_BAD_MAGIC', {
        what: `"${path}" is a tar archive without ${missing.join(', ')}`,
        expected: `the official archive ${CIFAR10_ARCHIVE}`,
        got: seen.length === 0 ? 'no files' : seen.slice(0, 8).join(', '),
        todo: 'get the archive with "deepdefense data get"',
        fields: { path, missing },
      })
    );
  }
  return { dataset: assembler.finish(name), md5: md5.digest('hex') };
}

async function checkGzipMagic(path: string): Promise<void> {
  const head = Buffer.alloc(2);
  let read = 0;
  try {
    const handle = await open(path);
    try {
      read = (await handle.read(head, 0, 2, 0)).bytesRead;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw unreadable(path, error);
  }
  if (read === 2 && head[0] === 0x1f && head[1] === 0x8b) return;
  const { size } = await stat(path);
  throw new DeepDefenseError('DATA_BAD_MAGIC', {
    what: `"${path}" is not a gzip'd tar archive`,
    expected: `a folder in the official layout, or the official archive ${CIFAR10_ARCHIVE}, which begins with bytes 1f 8b`,
    got: `${size} bytes beginning with "${head.subarray(0, read).toString('hex')}"`,
    todo: 'get the archive with "deepdefense data get"',
    fields: { path },
  });
}

/** An archive that was made to fill memory or time. */
function tooLarge(path: string, got: string): DeepDefenseError {
  return new DeepDefenseError('DATA_WRONG_SIZE', {
    what: `"${path}" unpacks to more than CIFAR-10 has`,
    expected: `the official archive ${CIFAR10_ARCHIVE}`,
    got,
    todo: 'get the archive with "deepdefense data get"',
    fields: { path },
  });
}

/** Tells a cut-off archive from one that never was a gzip'd tar. */
function streamError(path: string, cause: unknown, seen: readonly string[]): DeepDefenseError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const truncated = code === 'Z_BUF_ERROR' || message === 'Unexpected end of data';
  return new DeepDefenseError(truncated ? 'DATA_TRUNCATED' : 'DATA_BAD_MAGIC', {
    what: truncated ? `the archive "${path}" is cut off` : `"${path}" is not a readable gzip'd tar archive`,
    expected: `the official archive ${CIFAR10_ARCHIVE}`,
    got: `${message}${seen.length === 0 ? '' : ` after ${seen.length} entries`}`,
    todo: 'get the archive again with "deepdefense data get"',
    fields: { path },
    cause,
  });
}
