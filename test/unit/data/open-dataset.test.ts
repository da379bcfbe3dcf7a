import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cacheFolderOf } from '../../../src/data/cache-folder.ts';
import { getCifar10 } from '../../../src/data/get-cifar10.ts';
import { type OpenDatasetOptions, openDataset, openDatasetWithOrigin } from '../../../src/data/open-dataset.ts';
import {
  containing,
  fabricatedFiles,
  fabricatedHash,
  matching,
  md5Of,
  SMALL_LAYOUT,
  tarGz,
  temporaryFolder,
  writeFolder,
} from './fabricated.ts';

const UNVERIFIED = 'CIFAR-10 layout, unverified copy';

async function options(more: Partial<OpenDatasetOptions> = {}): Promise<OpenDatasetOptions & { cacheFolder: string }> {
  return { source: 'cifar10', layout: SMALL_LAYOUT, cacheFolder: await temporaryFolder(), env: {}, ...more } as OpenDatasetOptions & {
    cacheFolder: string;
  };
}

async function copyIn(folder: string): Promise<string> {
  await writeFolder(join(folder, 'cifar-10-batches-bin'), fabricatedFiles());
  return folder;
}

async function serveArchive(archive: Buffer): Promise<{ url: string; requests: () => number }> {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests++;
    response.writeHead(200, { 'content-length': archive.length }).end(archive);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, requests: () => requests };
}

describe('cache folder', () => {
  it('is DEEPDEFENSE_CACHE, else in XDG_CACHE_HOME, else in ~/.cache', () => {
    expect(cacheFolderOf({ DEEPDEFENSE_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(cacheFolderOf({ DEEPDEFENSE_CACHE: '', XDG_CACHE_HOME: '/b' })).toBe('/b/deepdefense');
    expect(cacheFolderOf({ XDG_CACHE_HOME: '' })).toMatch(/\.cache[/\\]deepdefense$/);
  });
});

describe('openDataset', () => {
  it('draws the synthetic set when asked for, without looking anywhere', async () => {
    const opened = await openDatasetWithOrigin(await options({ source: 'synthetic', path: '/no/such' }));
    expect(opened).toMatchObject({ origin: 'built-in', path: undefined, official: false, dataset: { name: 'synthetic' } });
    expect([opened.dataset.train.count, opened.dataset.test.count]).toEqual([5000, 1000]);
  });

  it('prefers the path, then the environment, then the cache', async () => {
    const given = await copyIn(await temporaryFolder());
    const fromEnvironment = await copyIn(await temporaryFolder());
    const base = await options({ env: { DEEPDEFENSE_DATA: fromEnvironment } });
    await copyIn(base.cacheFolder);
    const inner = (folder: string): string => join(folder, 'cifar-10-batches-bin');
    expect(await openDatasetWithOrigin({ ...base, path: given })).toMatchObject({ origin: 'path', path: inner(given) });
    expect(await openDatasetWithOrigin(base)).toMatchObject({ origin: 'environment', path: inner(fromEnvironment) });
    expect(await openDatasetWithOrigin({ ...base, env: { DEEPDEFENSE_DATA: '' } })).toMatchObject({
      origin: 'cache',
      path: inner(base.cacheFolder),
    });
  });

  it('does not fall back when a place given explicitly is empty', async () => {
    const base = await options();
    await copyIn(base.cacheFolder);
    const empty = await temporaryFolder();
    await expect(openDataset({ ...base, path: empty })).rejects.toMatchObject({
      code: 'DATA_MISSING',
      message: containing(empty),
    });
    await expect(openDataset({ ...base, env: { DEEPDEFENSE_DATA: empty } })).rejects.toMatchObject({ code: 'DATA_MISSING' });
  });

  it('names every place and what to do when nothing is found', async () => {
    const base = await options();
    await expect(openDataset(base)).rejects.toMatchObject({
      code: 'DATA_MISSING',
      message: matching(
        new RegExp(
          `data\\.path.*: not set; DEEPDEFENSE_DATA: not set; cache: nothing in "${base.cacheFolder}"[^]*data get[^]*--data[^]*synthetic`,
        ),
      ),
    });
  });

  it('gives an unverified copy its label, but never the official name', async () => {
    const path = await copyIn(await temporaryFolder());
    const nameWith = async (label?: string): Promise<string> => (await openDataset(await options({ path, label }))).name;
    expect(await nameWith()).toBe(UNVERIFIED);
    expect(await nameWith('  ')).toBe(UNVERIFIED);
    expect(await nameWith('CIFAR-10 (JPEG-75)')).toBe('CIFAR-10 (JPEG-75)');
    for (const claim of ['CIFAR-10', 'cifar10', ' Cifar 10 ']) expect(await nameWith(claim)).toBe(UNVERIFIED);
  });

  it('knows an unpacked copy as official once it has seen the official archive', async () => {
    const archive = await tarGz(fabricatedFiles());
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'archive.tar.gz'), archive);
    const unpacked = await copyIn(await temporaryFolder());
    const base = await options({ officialMd5: md5Of(archive), label: 'mine' });
    expect((await openDataset({ ...base, path: unpacked })).name).toBe('mine');
    expect(await openDatasetWithOrigin({ ...base, path: join(folder, 'archive.tar.gz') })).toMatchObject({
      official: true,
      dataset: { name: 'CIFAR-10' },
    });
    expect(await openDatasetWithOrigin({ ...base, path: unpacked })).toMatchObject({ official: true, dataset: { name: 'CIFAR-10' } });
    // Other content keeps its label.
    const changed = fabricatedFiles();
    (changed['test_batch.bin'] as Buffer)[100] = 1;
    await writeFolder(join(unpacked, 'cifar-10-batches-bin'), changed);
    expect((await openDataset({ ...base, path: unpacked })).name).toBe('mine');
  });

  it('downloads into the cache only when asked to, and then reads from there', async () => {
    const archive = await tarGz(fabricatedFiles());
    const { url, requests } = await serveArchive(archive);
    const base = await options({ officialMd5: md5Of(archive), downloadOptions: { url } });
    await expect(openDataset(base)).rejects.toMatchObject({ code: 'DATA_MISSING' });
    expect(requests()).toBe(0);
    const phases = new Set<string>();
    const opened = await openDatasetWithOrigin({ ...base, download: true, onProgress: ({ phase }) => phases.add(phase) });
    expect(opened).toMatchObject({ origin: 'download', official: true, dataset: { name: 'CIFAR-10', contentHash: fabricatedHash() } });
    expect([...phases]).toEqual(['downloading', 'unpacking']);
    expect((await readdir(base.cacheFolder)).sort()).toEqual(['cifar-10-batches-bin', 'cifar-10.verified.json']);
    expect(await openDatasetWithOrigin({ ...base, download: true })).toMatchObject({
      origin: 'cache',
      official: true,
      dataset: opened.dataset,
    });
    expect(requests()).toBe(1);
  });
});

describe('getCifar10', () => {
  it('replaces a damaged copy in the cache, and keeps a good one', async () => {
    const archive = await tarGz(fabricatedFiles());
    const { url, requests } = await serveArchive(archive);
    const cacheFolder = await temporaryFolder();
    const settings = { cacheFolder, url, layout: SMALL_LAYOUT, md5: md5Of(archive) };
    await writeFolder(join(cacheFolder, 'cifar-10-batches-bin'), { 'data_batch_1.bin': Buffer.alloc(5) });
    expect((await getCifar10(settings)).contentHash).toBe(fabricatedHash());
    expect((await getCifar10(settings)).name).toBe('CIFAR-10');
    expect(requests()).toBe(1);
    await rm(join(cacheFolder, 'cifar-10-batches-bin', 'data_batch_3.bin'));
    await getCifar10(settings);
    expect(requests()).toBe(2);
    expect((await readdir(join(cacheFolder, 'cifar-10-batches-bin'))).length).toBe(7);
  });

  it('leaves the cache as it was when the download is not the official archive', async () => {
    const { url } = await serveArchive(Buffer.from('something else'));
    const cacheFolder = await temporaryFolder();
    await expect(getCifar10({ cacheFolder, url, layout: SMALL_LAYOUT })).rejects.toMatchObject({ code: 'DATA_CHECKSUM' });
    expect(await readdir(cacheFolder)).toEqual([]);
  });
});
