import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics, type HttpEndpoint, type HttpServerOptions, type Readiness, startHttpServer } from '../../../src/telemetry/index.ts';

let endpoint: HttpEndpoint | undefined;
afterEach(async () => {
  await endpoint?.close();
  endpoint = undefined;
});

const metrics = createMetrics('coordinator', { processMetrics: false });

async function start(
  readiness: () => Readiness = () => ({ ready: true, reason: 'step 3' }),
  scrape: HttpServerOptions['scrape'] = metrics.scrape,
): Promise<string> {
  endpoint = await startHttpServer({ host: '127.0.0.1', port: 0, scrape, readiness });
  return endpoint.url;
}

describe('HTTP server', () => {
  it('/metrics: serves the text format', async () => {
    const response = await fetch(`${await start()}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(await response.text()).toContain('# TYPE deepdefense_steps_total counter');
  });

  it('/metrics: serves OpenMetrics to scrapers that accept it, and the text format to others afterwards', async () => {
    const url = `${await start()}/metrics`;
    const get = async (accept: string) => {
      const response = await fetch(url, { headers: { accept } });
      return { type: response.headers.get('content-type') ?? '', text: await response.text() };
    };
    const open = await get('application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1');
    expect(open.type).toContain('application/openmetrics-text; version=1.0.0');
    expect(open.text).toContain('# TYPE deepdefense_steps counter\ndeepdefense_steps_total 0\n');
    expect(open.text.endsWith('# EOF\n')).toBe(true);
    const plain = await get('text/plain');
    expect(plain.type).toContain('text/plain; version=0.0.4');
    expect(plain.text).toContain('# TYPE deepdefense_steps_total counter\ndeepdefense_steps_total 0\n');
  });

  it('/readyz: follows the process, while /livez stays 200', async () => {
    let readiness: Readiness = { ready: false, reason: 'no worker yet' };
    const url = await start(() => readiness);
    const get = async (path: string) => {
      const response = await fetch(`${url}${path}`);
      return [response.status, await response.text()];
    };
    expect(await get('/readyz')).toEqual([503, 'not ready: no worker yet\n']);
    expect(await get('/livez')).toEqual([200, 'ok\n']);
    readiness = { ready: true, reason: 'training' };
    expect(await get('/readyz?verbose')).toEqual([200, 'ready: training\n']);
  });

  it('paths that are no URL: get 404, and the process goes on', async () => {
    const url = await start();
    const { request } = await import('node:http');
    for (const path of ['//', '//[', '/%', '/\\x'])
      expect(
        await new Promise((resolve, reject) =>
          request(url, { path }, (response) => resolve(response.resume().statusCode))
            .on('error', reject)
            .end(),
        ),
      ).toBe(404);
  });

  it('other requests: get 404, 405 and 500', async () => {
    const url = await start(undefined, () => Promise.reject(new Error('broken')));
    expect((await fetch(`${url}/other`)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`${url}/metrics`)).status).toBe(500);
  });

  it('port: is reported as PORT_IN_USE when taken, CONNECT_FAILED when the host is not ours', async () => {
    await start();
    const options = { scrape: metrics.scrape, readiness: () => ({ ready: true, reason: '' }) };
    await expect(startHttpServer({ host: '127.0.0.1', port: endpoint?.port ?? 0, ...options })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
    });
    await expect(startHttpServer({ host: '192.0.2.1', port: 0, ...options })).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  });
});
