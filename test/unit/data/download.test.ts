import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type DownloadOptions, type DownloadProgress, downloadFile } from '../../../src/data/download.ts';
import { containing, md5Of, temporaryFolder } from './fabricated.ts';

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8) * 7) % 256));

async function serve(
  handler: (request: IncomingMessage, response: ServerResponse, count: number) => void,
): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    handler(request, response, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/archive`, requests };
}

/** A server that knows ranges; `cutAt` ends the connection of the first request after so many bytes. */
function rangeServer(etag: () => string, cutAt?: number): (request: IncomingMessage, response: ServerResponse, count: number) => void {
  return (request, response, count) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const fits = request.headers['if-range'] === undefined || request.headers['if-range'] === etag();
    const start = range !== null && fits ? Number(range[1]) : 0;
    if (start >= CONTENT.length) {
      response.writeHead(416, { 'content-range': `bytes */${CONTENT.length}` }).end();
      return;
    }
    const headers: Record<string, string | number> = { etag: etag(), 'content-length': CONTENT.length - start };
    if (start > 0) headers['content-range'] = `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}`;
    response.writeHead(start > 0 ? 206 : 200, headers);
    if (count === 1 && cutAt !== undefined) response.write(CONTENT.subarray(start, cutAt), () => setTimeout(() => response.destroy(), 50));
    else response.end(CONTENT.subarray(start));
  };
}

async function target(): Promise<string> {
  return join(await temporaryFolder(), 'cache', 'archive');
}

const settings = (url: string, more: Partial<DownloadOptions> = {}): DownloadOptions => ({
  url,
  md5: md5Of(CONTENT),
  retryDelayMs: 1,
  stallTimeoutMs: 2000,
  ...more,
});

describe('download', () => {
  it('fetches the whole file, reports progress and leaves nothing else', async () => {
    const { url } = await serve(rangeServer(() => '"a"'));
    const path = await target();
    const seen: DownloadProgress[] = [];
    await downloadFile(path, settings(url, { onProgress: (progress) => seen.push(progress) }));
    expect((await readFile(path)).equals(CONTENT)).toBe(true);
    expect(await readdir(join(path, '..'))).toEqual(['archive']);
    expect(seen[0]).toEqual({ receivedBytes: 0, totalBytes: 300_000 });
    expect(seen.at(-1)).toEqual({ receivedBytes: 300_000, totalBytes: 300_000 });
    expect(seen.every(({ receivedBytes }, i) => receivedBytes >= (seen[i - 1]?.receivedBytes ?? 0))).toBe(true);
  });

  it('goes on where it was when the connection breaks', async () => {
    const { url, requests } = await serve(rangeServer(() => '"a"', 120_000));
    const path = await target();
    await downloadFile(path, settings(url));
    expect((await readFile(path)).equals(CONTENT)).toBe(true);
    expect(requests.map((request) => [request.headers.range, request.headers['if-range']])).toEqual([
      [undefined, undefined],
      ['bytes=120000-', '"a"'],
    ]);
  });

  it('goes on in a later call', async () => {
    const { url, requests } = await serve(rangeServer(() => '"a"', 120_000));
    const path = await target();
    await expect(downloadFile(path, settings(url, { attempts: 1 }))).rejects.toMatchObject({
      code: 'DATA_DOWNLOAD',
      message: containing('archive.part'),
    });
    expect(await readdir(join(path, '..'))).toEqual(['archive.part', 'archive.part.json']);
    const seen: DownloadProgress[] = [];
    await downloadFile(path, settings(url, { attempts: 1, onProgress: (progress) => seen.push(progress) }));
    expect(seen[0]?.receivedBytes).toBe(120_000);
    expect((await readFile(path)).equals(CONTENT)).toBe(true);
    expect(requests.length).toBe(2);
  });

  it('starts again when the file on the server has changed', async () => {
    let version = 1;
    const { url } = await serve(rangeServer(() => `"${version++}"`, 120_000));
    const path = await target();
    await downloadFile(path, settings(url));
    expect((await readFile(path)).equals(CONTENT)).toBe(true);
  });

  it('asks for nothing more when the part is the whole', async () => {
    const { url } = await serve(rangeServer(() => '"a"'));
    const path = await target();
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(`${path}.part`, CONTENT);
    await writeFile(`${path}.part.json`, JSON.stringify({ url, validator: '"a"' }));
    await downloadFile(path, settings(url));
    expect((await readFile(path)).equals(CONTENT)).toBe(true);
  });

  it('starts again when a resumed part turns out to be something else', async () => {
    const { url, requests } = await serve(rangeServer(() => '"a"'));
    const path = await target();
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(`${path}.part`, Buffer.alloc(1000));
    await writeFile(`${path}.part.json`, JSON.stringify({ url, validator: '"a"' }));
    await downloadFile(path, settings(url));
    expect((await readFile(path)).equals(CONTENT)).toBe(true);
    expect(requests.length).toBe(2);
  });

  it('says DATA_CHECKSUM when the content is another, and keeps nothing of it', async () => {
    const { url, requests } = await serve((_request, response) => response.end('<html>Please log in</html>'));
    const path = await target();
    await expect(downloadFile(path, settings(url))).rejects.toMatchObject({
      code: 'DATA_CHECKSUM',
      message: containing(md5Of(Buffer.from('<html>Please log in</html>'))),
    });
    expect(await readdir(join(path, '..'))).toEqual([]);
    expect(requests.length).toBe(1);
  });

  it('says DATA_DOWNLOAD at once when the server refuses, and after all tries when it fails', async () => {
    const refusing = await serve((_request, response) => response.writeHead(404).end('no'));
    await expect(downloadFile(await target(), settings(refusing.url))).rejects.toMatchObject({
      code: 'DATA_DOWNLOAD',
      message: containing('404 Not Found'),
    });
    expect(refusing.requests.length).toBe(1);
    const failing = await serve((_request, response) => response.writeHead(503).end());
    await expect(downloadFile(await target(), settings(failing.url, { attempts: 3 }))).rejects.toMatchObject({
      code: 'DATA_DOWNLOAD',
      message: containing('503 Service Unavailable (try 3 of 3)'),
    });
    expect(failing.requests.length).toBe(3);
  });

  it('recovers when the server fails only once', async () => {
    const good = rangeServer(() => '"a"');
    const { url } = await serve((request, response, count) =>
      count === 1 ? response.writeHead(500).end() : good(request, response, count),
    );
    const path = await target();
    await downloadFile(path, settings(url));
    expect((await readFile(path)).equals(CONTENT)).toBe(true);
  });

  it('says DATA_DOWNLOAD when no bytes come for too long, before or after the headers', async () => {
    const mute = await serve(() => undefined);
    await expect(downloadFile(await target(), settings(mute.url, { stallTimeoutMs: 100, attempts: 2 }))).rejects.toMatchObject({
      code: 'DATA_DOWNLOAD',
      message: containing('no data for 100 ms (try 2 of 2)'),
    });
    expect(mute.requests.length).toBe(2);
    const stalling = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': CONTENT.length });
      response.write(CONTENT.subarray(0, 5000));
    });
    const path = await target();
    await expect(downloadFile(path, settings(stalling.url, { stallTimeoutMs: 1500, attempts: 1 }))).rejects.toMatchObject({
      code: 'DATA_DOWNLOAD',
    });
    expect((await readFile(`${path}.part`)).length).toBe(5000);
  });

  it('says DATA_DOWNLOAD when nobody listens', async () => {
    const { url } = await serve(() => undefined);
    const closed = url.replace(/:\d+/, ':1');
    await expect(downloadFile(await target(), settings(closed, { attempts: 1 }))).rejects.toMatchObject({ code: 'DATA_DOWNLOAD' });
  });

  it('stops when told to, and keeps the part', async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': CONTENT.length });
      response.write(CONTENT.subarray(0, 5000));
    });
    const stop = new AbortController();
    const path = await target();
    const download = downloadFile(
      path,
      settings(url, { signal: stop.signal, onProgress: ({ receivedBytes }) => receivedBytes === 5000 && stop.abort() }),
    );
    await expect(download).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(await readdir(join(path, '..'))).toEqual(['archive.part', 'archive.part.json']);
  });

  it('refuses when another live process downloads the same, and takes over from a dead one', async () => {
    const { url } = await serve(rangeServer(() => '"a"'));
    const path = await target();
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(`${path}.lock`, JSON.stringify({ pid: process.ppid, host: hostname() }));
    await expect(downloadFile(path, settings(url))).rejects.toMatchObject({
      code: 'DATA_DOWNLOAD',
      message: containing(`process ${process.ppid}`),
    });
    // Beyond the largest process id of any system.
    await writeFile(`${path}.lock`, JSON.stringify({ pid: 2 ** 30, host: hostname() }));
    await downloadFile(path, settings(url));
    expect((await readFile(path)).equals(CONTENT)).toBe(true);
  });

  it('refuses a second download of the same file in this process', async () => {
    const { url } = await serve(rangeServer(() => '"a"'));
    const path = await target();
    const results = await Promise.allSettled([downloadFile(path, settings(url)), downloadFile(path, settings(url))]);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});
