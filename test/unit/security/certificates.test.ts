import { X509Certificate } from 'node:crypto';
import { copyFile, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkExposure, identityOf, initAuthority, isLoopback, issueInto, listIssued, loadTlsFiles } from '../../../src/security/index.ts';
import { TestAuthority } from '../../support/certificates.ts';

let authority: TestAuthority;
let other: TestAuthority;
beforeAll(async () => {
  [authority, other] = await Promise.all([TestAuthority.create(), TestAuthority.create()]);
});
afterAll(async () => {
  await Promise.all([authority.close(), other.close()]);
});

const DAY_MS = 86_400_000;

describe('certificates', () => {
  it('carry role, name and hosts, are signed by their authority, and end in time', async () => {
    const folder = await issueInto(authority.folder, { role: 'worker', name: 'gpu-1' }, ['10.0.0.5', 'gpu-1.local'], 7);
    const { identity, notAfterMs } = await loadTlsFiles(folder);
    expect(identity).toEqual({ role: 'worker', name: 'gpu-1' });
    expect(Math.abs(notAfterMs - Date.now() - 7 * DAY_MS)).toBeLessThan(60_000);
    const certificate = new X509Certificate(await readFile(join(folder, 'cert.pem')));
    expect(certificate.subjectAltName).toBe('URI:spiffe://deepdefense/worker/gpu-1, IP Address:10.0.0.5, DNS:gpu-1.local');
    expect(certificate.ca).toBe(false);
    expect((await stat(join(folder, 'key.pem'))).mode & 0o077).toBe(0);
  });

  it('are refused with a reason when they have ended, are incomplete, or do not fit each other', async () => {
    const folder = await authority.issue('worker', 'a');
    const foreign = await other.issue('worker', 'a');
    await expect(loadTlsFiles(folder, Date.now() + 2 * DAY_MS)).rejects.toThrow('valid from');
    await expect(loadTlsFiles(folder, Date.now() - DAY_MS)).rejects.toThrow('valid from');
    await expect(loadTlsFiles(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'CERTIFICATE_INVALID' });
    await copyFile(join(foreign, 'ca.pem'), join(folder, 'ca.pem'));
    await expect(loadTlsFiles(folder)).rejects.toThrow('one of another authority');
    await authority.issue('worker', 'a');
    await copyFile(join(foreign, 'key.pem'), join(folder, 'key.pem'));
    await expect(loadTlsFiles(folder)).rejects.toThrow('another key');
    await writeFile(join(folder, 'key.pem'), 'no key');
    await expect(loadTlsFiles(folder)).rejects.toThrow("can't be read");
    await copyFile(join(authority.folder, 'ca', 'ca.pem'), join(folder, 'cert.pem'));
    await expect(loadTlsFiles(folder)).rejects.toMatchObject({ code: 'CERTIFICATE_INVALID' });
  });

  it('may have the names that a Secret of Kubernetes has, which go before files of ours that lie beside them', async () => {
    const folder = await authority.issue('worker', 'before');
    const after = await authority.issue('worker', 'after');
    const copies = [
      ['ca.pem', 'ca.crt'],
      ['key.pem', 'tls.key'],
      ['cert.pem', 'tls.crt'],
    ] as const;
    for (const [from, to] of copies) await copyFile(join(after, from), join(folder, to));
    expect((await loadTlsFiles(folder)).identity.name).toBe('after');
    await copyFile(join(folder, 'key.pem'), join(folder, 'tls.key'));
    await expect(loadTlsFiles(folder)).rejects.toThrow('the key of tls.crt');
    await rm(join(folder, 'tls.key'));
    await expect(loadTlsFiles(folder)).rejects.toThrow('or with ca.crt, tls.crt, tls.key');
    await rm(join(folder, 'tls.crt'));
    expect((await loadTlsFiles(folder)).identity.name).toBe('before');
  });

  it('are listed with the days that they have left', async () => {
    await authority.issue('operator', 'me', 3);
    const mine = (await listIssued(authority.folder)).find(({ role }) => role === 'operator');
    expect(mine?.daysLeft).toBeGreaterThan(2.9);
    expect(mine).toMatchObject({ name: 'me', problem: undefined });
  });

  it('are not issued without an authority or for a bad name, and an authority is not replaced', async () => {
    await expect(initAuthority(authority.folder, 1)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(issueInto(join(authority.folder, 'none'), { role: 'worker', name: 'a' }, [], 1)).rejects.toThrow('certs init');
    for (const name of ['', '-a', 'A', '../a', 'a/b', 'a b', 'a'.repeat(64)])
      await expect(issueInto(authority.folder, { role: 'worker', name }, [], 1)).rejects.toThrow('bad name');
  });
});

describe('identity', () => {
  it.each([
    undefined,
    '',
    'DNS:spiffe://deepdefense/worker/a',
    'URI:spiffe://deepdefense/king/a',
    'URI:spiffe://deepdefense/worker/a/b',
    'URI:spiffe://deepdefense/worker/',
    'URI:spiffe://other/worker/a',
    'URI:spiffe://deepdefense/worker/a, URI:spiffe://deepdefense/coordinator/a',
  ])('is none in %j', (names) => {
    expect(identityOf(names)).toBeUndefined();
  });
});

describe('a listener in plain text', () => {
  it.each(['127.0.0.1', '127.8.8.8', '::1', 'localhost'])('may use %s', (host) => {
    expect(isLoopback(host)).toBe(true);
    expect(() => checkExposure(host, undefined, false)).not.toThrow();
  });

  it.each(['0.0.0.0', '::', '10.0.0.5', 'coordinator.local', '127.evil.example'])('may not use %s unless that is asked for', (host) => {
    expect(() => checkExposure(host, undefined, false)).toThrow('--insecure');
    expect(() => checkExposure(host, undefined, true)).not.toThrow();
  });
});
