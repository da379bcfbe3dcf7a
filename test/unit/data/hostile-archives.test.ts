/** @file Archives that were made to harm: paths out of the folder, and more content than memory or time. */
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { readArchive } from '../../../src/data/cifar10-archive.ts';
import { fetchedDatasetPath } from '../../../src/data/fetched-cache.ts';
import { getCifar10 } from '../../../src/data/get-cifar10.ts';
import { fabricatedFiles, md5Of, SMALL_LAYOUT, temporaryFolder } from './fabricated.ts';

async function tarOf(add: (tar: ReturnType<typeof pack>) => unknown): Promise<Buffer> {
  const tar = pack();
  const gzip = createGzip({ level: 1 });
  const bytes = buffer(tar.pipe(gzip));
  await add(tar);
  tar.finalize();
  return bytes;
}

async function failureOf(archive: Buffer): Promise<unknown> {
  const path = join(await temporaryFolder(), 'a.tar.gz');
  await writeFile(path, archive);
  return readArchive(path, SMALL_LAYOUT, 'x').catch((error: unknown) => error);
}

describe('an archive', () => {
  it('with paths out of its folder and with links writes nothing outside the cache', async () => {
    const files = fabricatedFiles();
    const archive = await tarOf((tar) => {
      for (const [name, bytes] of Object.entries(files)) tar.entry({ name: `../../../${name}` }, bytes);
      tar.entry({ name: '../../evil.bin' }, Buffer.from('x'));
      tar.entry({ name: '/tmp/evil.bin' }, Buffer.from('x'));
      tar.entry({ name: 'cifar-10-batches-bin/link', type: 'symlink', linkname: '/etc' });
    });
    const outer = await temporaryFolder();
    const cacheFolder = join(outer, 'a', 'b', 'c');
    const source = join(outer, 'source.tar.gz');
    await writeFile(source, archive);
    const { createServer } = await import('node:http');
    const server = createServer((_, response) => response.end(archive)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await getCifar10({ cacheFolder, url: `http://127.0.0.1:${port}/x`, layout: SMALL_LAYOUT, md5: md5Of(archive) });
    server.close();
    expect((await readdir(outer)).sort()).toEqual(['a', 'source.tar.gz']);
    expect(await readdir(join(outer, 'a'))).toEqual(['b']);
    expect(await readdir(join(outer, 'a', 'b'))).toEqual(['c']);
    expect((await readdir(join(cacheFolder, 'cifar-10-batches-bin'))).sort()).toEqual([...Object.keys(files)].sort());
  });

  it('that unpacks to far more than the dataset is refused', async () => {
    const bomb = await tarOf((tar) => {
      const entry = tar.entry({ name: 'zeros', size: 80 * 2 ** 20 });
      for (let i = 0; i < 80; i++) entry.write(Buffer.alloc(2 ** 20));
      entry.end(undefined);
      return once(entry, 'finish');
    });
    expect(bomb.length).toBeLessThan(2 ** 20);
    expect(await failureOf(bomb)).toMatchObject({ code: 'DATA_WRONG_SIZE' });
  });

  it('with too many entries, or too long a list of classes, is refused', async () => {
    const many = await tarOf((tar) => {
      for (let i = 0; i < 10_001; i++) tar.entry({ name: `e${i}` }, '');
    });
    expect(await failureOf(many)).toMatchObject({ code: 'DATA_WRONG_SIZE' });
    const meta = await tarOf((tar) => void tar.entry({ name: 'batches.meta.txt' }, Buffer.alloc(70_000)));
    expect(await failureOf(meta)).toMatchObject({ code: 'DATA_WRONG_SIZE' });
  });
});

it.each(['../../etc/passwd', 'abc', `${'a'.repeat(63)}/`, 'A'.repeat(64)])('a content hash %j makes no path', (hash) => {
  expect(() => fetchedDatasetPath('/cache', hash)).toThrow('64 hexadecimal digits');
});
