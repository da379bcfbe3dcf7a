import { rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { isDeepDefenseError } from '../../../src/core/index.ts';
import { readCifar10 } from '../../../src/data/cifar10-reader.ts';
import {
  containing,
  fabricatedByte,
  fabricatedFile,
  fabricatedFiles,
  fabricatedHash,
  matching,
  md5Of,
  META,
  SMALL_LAYOUT,
  tarGz,
  temporaryFolder,
  writeFolder,
} from './fabricated.ts';

const layout = SMALL_LAYOUT;

async function failure(path: string): Promise<{ code: string; message: string }> {
  try {
    await readCifar10(path, { layout });
  } catch (error) {
    if (isDeepDefenseError(error)) return error;
    throw error;
  }
  throw new Error('no error');
}

async function brokenFolder(change: (files: Record<string, Buffer>) => void): Promise<string> {
  const folder = await temporaryFolder();
  const files = fabricatedFiles();
  change(files);
  await writeFolder(folder, files);
  return folder;
}

async function archiveOf(files: Record<string, Buffer>, innerFolder?: string): Promise<string> {
  const path = join(await temporaryFolder(), 'some.tar.gz');
  await writeFile(path, await tarGz(files, innerFolder));
  return path;
}

describe('CIFAR-10 reader', () => {
  it('reads the folder itself and the folder above it', async () => {
    const folder = await temporaryFolder();
    await writeFolder(join(folder, 'cifar-10-batches-bin'), fabricatedFiles());
    for (const path of [folder, join(folder, 'cifar-10-batches-bin')]) {
      const { dataset, official, path: read } = await readCifar10(path, { layout });
      expect(read).toBe(join(folder, 'cifar-10-batches-bin'));
      expect(official).toBe(false);
      expect(dataset).toMatchObject({ name: 'CIFAR-10 layout, unverified copy', contentHash: fabricatedHash() });
      expect([dataset.train.count, dataset.test.count]).toEqual([20, 4]);
      expect(dataset.train.labels[4 * 3 + 2]).toBe(fabricatedByte(3, 2, 0));
      expect(dataset.train.pixels[(4 * 3 + 2) * 3072 + 3071]).toBe(fabricatedByte(3, 2, 3072));
      expect(dataset.test.pixels[3 * 3072]).toBe(fabricatedByte(5, 3, 1));
    }
  });

  it('does without the list of classes', async () => {
    const folder = await brokenFolder((files) => delete files['batches.meta.txt']);
    expect((await readCifar10(folder, { layout })).dataset.contentHash).toBe(fabricatedHash());
  });

  it('reads an archive in any order of entries and knows the official one by its MD5', async () => {
    const archive = await tarGz(Object.fromEntries(Object.entries(fabricatedFiles()).reverse()));
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'cifar-10-binary.tar.gz'), archive);
    for (const path of [folder, join(folder, 'cifar-10-binary.tar.gz')]) {
      const copy = await readCifar10(path, { layout, officialMd5: md5Of(archive) });
      expect(copy).toMatchObject({ official: true, path: join(folder, 'cifar-10-binary.tar.gz') });
      expect(copy.dataset.contentHash).toBe(fabricatedHash());
    }
    expect((await readCifar10(folder, { layout })).official).toBe(false);
  });

  it('says DATA_MISSING when there is nothing, nothing of it, or a file lacks', async () => {
    const folder = await temporaryFolder();
    expect(await failure(join(folder, 'no-such'))).toMatchObject({
      code: 'DATA_MISSING',
      message: containing('deepdefense data get'),
    });
    expect(await failure(folder)).toMatchObject({ code: 'DATA_MISSING', message: containing('empty folder') });
    await writeFile(join(folder, 'holiday.jpg'), '');
    expect(await failure(folder)).toMatchObject({ code: 'DATA_MISSING', message: containing('"holiday.jpg"') });
    const incomplete = await brokenFolder((files) => delete files['data_batch_4.bin']);
    expect(await failure(incomplete)).toMatchObject({ code: 'DATA_MISSING', message: containing('lacks data_batch_4.bin') });
  });

  it('says DATA_TRUNCATED when a file is short or ends inside a record', async () => {
    const short = await brokenFolder((files) => {
      files['data_batch_2.bin'] = fabricatedFile(1, 3);
    });
    expect(await failure(short)).toMatchObject({
      code: 'DATA_TRUNCATED',
      message: matching(/data_batch_2\.bin.*\n.*12292 bytes.*\n.*9219 bytes \(3 records\)/),
    });
    const inside = await brokenFolder(() => undefined);
    await truncate(join(inside, 'test_batch.bin'), 5000);
    expect(await failure(inside)).toMatchObject({
      code: 'DATA_TRUNCATED',
      message: containing('1 records and 1927 bytes of another'),
    });
    const longer = await brokenFolder((files) => {
      files['data_batch_1.bin'] = Buffer.concat([fabricatedFile(0), Buffer.alloc(1)]);
    });
    expect(await failure(longer)).toMatchObject({
      code: 'DATA_TRUNCATED',
      message: containing('4 records and 1 bytes of another'),
    });
  });

  it('says DATA_WRONG_SIZE when there are more records', async () => {
    const folder = await brokenFolder((files) => {
      files['data_batch_3.bin'] = fabricatedFile(2, 5);
    });
    expect(await failure(folder)).toMatchObject({ code: 'DATA_WRONG_SIZE', message: containing('data_batch_3.bin') });
  });

  it('says DATA_BAD_LABEL with file, record and value when a label is above 9', async () => {
    const files = fabricatedFiles();
    (files['data_batch_5.bin'] as Buffer)[2 * 3073] = 77;
    const folder = await temporaryFolder();
    await writeFolder(folder, files);
    const expected = { code: 'DATA_BAD_LABEL', message: matching(/record 2 of .*data_batch_5\.bin.*\n.*0\.\.9\n.*77/) };
    expect(await failure(folder)).toMatchObject(expected);
    expect(await failure(await archiveOf(files))).toMatchObject(expected);
  });

  it('says DATA_BAD_MAGIC when a file is no archive', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'x');
    for (const content of [Buffer.alloc(0), Buffer.from('PK\x03\x04'), gzipSync(Buffer.alloc(5000, 'no tar here '))]) {
      await writeFile(path, content);
      expect(await failure(path)).toMatchObject({ code: 'DATA_BAD_MAGIC' });
    }
  });

  it('says DATA_BAD_MAGIC and which version it is when it is another version of CIFAR', async () => {
    const pickle = { data_batch_1: Buffer.from('x'), test_batch: Buffer.from('y') };
    expect(await failure(await archiveOf(pickle, 'cifar-10-batches-py'))).toMatchObject({
      code: 'DATA_BAD_MAGIC',
      message: containing('pickle'),
    });
    const folder = await temporaryFolder();
    await writeFolder(join(folder, 'cifar-10-batches-py'), pickle);
    expect(await failure(folder)).toMatchObject({ code: 'DATA_BAD_MAGIC', message: containing('pickle') });
    expect(await failure(join(folder, 'cifar-10-batches-py'))).toMatchObject({ message: containing('pickle') });
    const hundred = { 'train.bin': Buffer.from('x'), 'fine_label_names.txt': Buffer.from('y') };
    expect(await failure(await archiveOf(hundred, 'cifar-100-binary'))).toMatchObject({
      code: 'DATA_BAD_MAGIC',
      message: containing('CIFAR-100'),
    });
    expect(await failure(await archiveOf({ 'readme.html': Buffer.from('x') }))).toMatchObject({
      code: 'DATA_BAD_MAGIC',
      message: containing('without data_batch_1.bin'),
    });
  });

  it('says DATA_BAD_MAGIC when the list of classes is another', async () => {
    const folder = await brokenFolder((files) => {
      files['batches.meta.txt'] = Buffer.from(META.replace('frog', 'toad'));
    });
    expect(await failure(folder)).toMatchObject({ code: 'DATA_BAD_MAGIC', message: containing('toad') });
  });

  it('says DATA_TRUNCATED when an archive is cut off anywhere', async () => {
    const archive = await tarGz(fabricatedFiles());
    const path = join(await temporaryFolder(), 'cut.tar.gz');
    for (const fraction of [0.1, 0.5, 0.9]) {
      await writeFile(path, archive.subarray(0, Math.floor(archive.length * fraction)));
      expect(await failure(path)).toMatchObject({ code: 'DATA_TRUNCATED' });
    }
  });

  it('says what is wrong with a file inside an archive', async () => {
    const files = { ...fabricatedFiles(), 'data_batch_2.bin': fabricatedFile(1, 2) };
    expect(await failure(await archiveOf(files))).toMatchObject({
      code: 'DATA_TRUNCATED',
      message: containing('some.tar.gz:cifar-10-batches-bin/data_batch_2.bin'),
    });
  });

  it('reads again when the folder has been repaired', async () => {
    const folder = await brokenFolder(() => undefined);
    await rename(join(folder, 'data_batch_1.bin'), join(folder, 'kept'));
    expect(await failure(folder)).toMatchObject({ code: 'DATA_MISSING' });
    await rename(join(folder, 'kept'), join(folder, 'data_batch_1.bin'));
    await rm(join(folder, 'batches.meta.txt'));
    expect((await readCifar10(folder, { layout })).dataset.contentHash).toBe(fabricatedHash());
  });
});
