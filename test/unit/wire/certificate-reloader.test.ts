/** @file Certificates that change on disk under a listening server: good ones are served, bad ones are counted and logged. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadTlsFiles, type TlsFiles } from '../../../src/security/index.ts';
import { createMetrics, createSecurityReport, observeCalls } from '../../../src/telemetry/index.ts';
import { RELOAD_MS } from '../../../src/wire/certificate-reloader.ts';
import { bindServer, closeServer, createCoordinatorServer, type GrpcServer } from '../../../src/wire/index.ts';
import { TestAuthority } from '../../support/certificates.ts';

let authority: TestAuthority;
let server: GrpcServer;
let port: number;
/** Of the server: what it has when the test begins. */
let first: TlsFiles;
const metrics = createMetrics('coordinator', { processMetrics: false });
const lines: { readonly security?: string; readonly reason?: string }[] = [];

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  metrics.securityEvents.reset();
  lines.length = 0;
  authority = await TestAuthority.create();
  first = await authority.tls('coordinator', 'main');
  const report = createSecurityReport(metrics, { warn: (line: object) => void lines.push(line) });
  const options = { tls: first, report, observer: observeCalls(metrics) };
  server = createCoordinatorServer({ work: (stream) => stream.end(), fetchDataset: (call) => call.end() }, options);
  port = await bindServer(server, '127.0.0.1', 0, options);
});
afterEach(async () => {
  vi.useRealTimers();
  await closeServer(server, 50);
  await authority.close();
});

/** The server looks at its files once, and reads them: then `check` holds. */
async function look(check: () => Promise<boolean>): Promise<void> {
  vi.advanceTimersByTime(RELOAD_MS);
  while (!(await check())) await sleep(10);
}

/** Serial number of the certificate that a new connection is shown. */
async function served(): Promise<string> {
  const { certificate, key, authority: ca } = await authority.tls('worker', 'one');
  const socket = connect({
    port,
    host: '127.0.0.1',
    ca,
    cert: certificate,
    key,
    ALPNProtocols: ['h2'],
    checkServerIdentity: () => undefined,
  });
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

const serialOf = ({ certificate }: TlsFiles): string => new X509Certificate(certificate).serialNumber;
const counted = async (): Promise<number> =>
  Number(/^deepdefense_security_events_total\{kind="certificate-reload"\} (\d+)$/m.exec(await metrics.render())?.[1]);
const endShown = async (): Promise<number> =>
  Number(/^deepdefense_certificate_not_after_timestamp_seconds (\S+)$/m.exec(await metrics.render())?.[1]);
const file = (name: string): string => join(first.folder, name);

describe('certificates that change on disk', () => {
  it('a good pair: is served to new connections, and its end is shown', async () => {
    await authority.issue('coordinator', 'main', 0.5);
    const next = await loadTlsFiles(first.folder);
    expect(serialOf(next)).not.toBe(serialOf(first));
    await look(async () => (await served()) === serialOf(next));
    expect(await endShown()).toBe(next.notAfterMs / 1000);
    expect([await counted(), lines]).toEqual([0, []]);
  });

  it.each([
    [
      'a half written certificate',
      'expected: PEM files',
      async () => writeFile(file('cert.pem'), (await readFile(file('cert.pem'))).subarray(0, 300)),
    ],
    ['an empty key', 'expected: PEM files', async () => writeFile(file('key.pem'), '')],
    ['no certificate at all', "can't read", async () => rm(file('cert.pem'))],
    [
      'the key of another certificate',
      'got: another key',
      async () => copyFile(join(await authority.issue('coordinator', 'other'), 'key.pem'), file('key.pem')),
    ],
    [
      'a certificate of another authority',
      'got: one of another authority',
      async () => {
        const foreign = await TestAuthority.create();
        const folder = await foreign.issue('coordinator', 'main');
        for (const name of ['cert.pem', 'key.pem']) await copyFile(join(folder, name), file(name));
        await foreign.close();
      },
    ],
  ])('%s: the old one serves on, and each look is counted and logged, until a good pair is there', async (_, reason, spoil) => {
    await spoil();
    await look(async () => (await counted()) === 1);
    expect(await served()).toBe(serialOf(first));
    expect(await endShown()).toBe(first.notAfterMs / 1000);
    expect(lines).toMatchObject([{ security: 'certificate-reload', folder: first.folder }]);
    expect(lines[0]?.reason).toContain(reason);
    await look(async () => (await counted()) === 2);

    await authority.issue('coordinator', 'main');
    const next = await loadTlsFiles(first.folder);
    await look(async () => (await served()) === serialOf(next));
    expect(await counted()).toBe(2);
  });
});
