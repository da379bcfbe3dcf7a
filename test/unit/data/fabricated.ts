/** @file Small files in the CIFAR-10 layout for tests, made byte by byte. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { expect, onTestFinished } from 'vitest';
import type { Cifar10Layout } from '../../../src/data/cifar10-layout.ts';

export const SMALL_LAYOUT: Cifar10Layout = {
  trainFiles: ['data_batch_1.bin', 'data_batch_2.bin', 'data_batch_3.bin', 'data_batch_4.bin', 'data_batch_5.bin'],
  testFile: 'test_batch.bin',
  recordsPerFile: 4,
};

export const META = 'airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n';

/** Byte `offset` of record `record` of file `file` (0-4 training, 5 test): a label, then pixels that differ between all positions. */
export function fabricatedByte(file: number, record: number, offset: number): number {
  if (offset === 0) return (file * 4 + record * 3) % 10;
  return (file * 41 + record * 17 + offset * 7 + (offset >> 8)) % 256;
}

export function fabricatedFile(file: number, records = 4): Buffer {
  const bytes = Buffer.alloc(records * 3073);
  for (let at = 0; at < bytes.length; at++) bytes[at] = fabricatedByte(file, Math.floor(at / 3073), at % 3073);
  return bytes;
}

/** All files of the small layout by name, without the folder. */
export function fabricatedFiles(): Record<string, Buffer> {
  const names = [...SMALL_LAYOUT.trainFiles, SMALL_LAYOUT.testFile];
  return Object.fromEntries([
    ...names.map((name, file) => [name, fabricatedFile(file)] as const),
    ['batches.meta.txt', Buffer.from(META)] as const,
  ]);
}

/** SHA-256 of the small layout's records, training then test. */
export function fabricatedHash(): string {
  const hash = createHash('sha256');
  for (let file = 0; file < 6; file++) hash.update(fabricatedFile(file));
  return hash.digest('hex');
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'deepdefense-data-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function writeFolder(folder: string, files: Record<string, Buffer>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
}

export async function tarGz(files: Record<string, Buffer>, folder = 'cifar-10-batches-bin'): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: `${folder}/`, type: 'directory' });
  for (const [name, bytes] of Object.entries(files)) tar.entry({ name: `${folder}/${name}` }, bytes);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks));
}

export function md5Of(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}

/** Matches a text that contains `part`; typed, unlike vitest's own. */
export function containing(part: string): string {
  return expect.stringContaining(part) as string;
}

/** Matches a text that fits `pattern`; typed, unlike vitest's own. */
export function matching(pattern: RegExp): string {
  return expect.stringMatching(pattern) as string;
}
