import { generateKeyPairSync } from 'node:crypto';
import { copyFile, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  authorise,
  type Identity,
  issueInto,
  issueTokenInto,
  listIssued,
  loadTlsFiles,
  loadTokenFile,
} from '../../../src/security/index.ts';
import { signToken, verifyToken } from '../../../src/security/tokens.ts';
import { TestAuthority } from '../../support/certificates.ts';

const DAY_MS = 86_400_000;
const WORKER: Identity = { role: 'worker', name: 'gpu-1', scope: { kind: 'run', id: 'run-1' } };

let authority: TestAuthority;
let other: TestAuthority;
const read = (from: TestAuthority, name: string) => readFile(join(from.folder, 'ca', name), 'utf8');
beforeAll(async () => {
  [authority, other] = await Promise.all([TestAuthority.create(), TestAuthority.create()]);
});
afterAll(async () => {
  await Promise.all([authority.close(), other.close()]);
});

/** A token whose every part the test decides. */
async function forge(changes: { key?: string; header?: object; claims?: object } = {}): Promise<string> {
  const key = changes.key ?? (await read(authority, 'ca-key.pem'));
  const { createPrivateKey } = await import('node:crypto');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: 'deepdefense', aud: 'deepdefense-coordinator', sub: 'worker/gpu-1', iat: now, exp: now + 100, ...changes.claims };
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'deepdefense+jwt', ...changes.header }).sign(createPrivateKey(key));
}

const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

describe('a token', () => {
  it('says role, name and scope to whoever has the certificate of its authority', async () => {
    const nowMs = Date.now();
    const token = await signToken(await read(authority, 'ca-key.pem'), WORKER, 7, nowMs);
    const { identity, notAfterMs } = await verifyToken(token, await read(authority, 'ca.pem'), nowMs);
    expect(identity).toEqual(WORKER);
    expect(Math.abs(notAfterMs - nowMs - 7 * DAY_MS)).toBeLessThan(1000);
    // After a change of the authority its file holds both.
    const both = `${await read(other, 'ca.pem')}\n${await read(authority, 'ca.pem')}`;
    expect((await verifyToken(token, both, nowMs)).identity).toEqual(WORKER);
  });

  it('is refused when it has ended, is of another authority, was changed, or is no such token', async () => {
    const ca = await read(authority, 'ca.pem');
    const good = await forge();
    await expect(verifyToken(good, ca, Date.now())).resolves.toBeDefined();
    await expect(verifyToken(good, ca, Date.now() + 200_000)).rejects.toMatchObject({ code: 'IDENTITY_REFUSED' });
    const [header = '', , signature = ''] = good.split('.');
    const payload = { iss: 'deepdefense', aud: 'deepdefense-coordinator', sub: 'operator/me', exp: 4e9 };
    const secret = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const { createSecretKey } = await import('node:crypto');
    const confused = new SignJWT(payload)
      .setProtectedHeader({ alg: 'HS256', typ: 'deepdefense+jwt' })
      .sign(createSecretKey(Buffer.from(ca)));
    const bad = {
      'another authority': await forge({ key: await read(other, 'ca-key.pem') }),
      'a key of nobody': await forge({ key: secret }),
      'another payload': `${header}.${encoded(payload)}.${signature}`,
      'alg none': `${encoded({ alg: 'none', typ: 'deepdefense+jwt' })}.${encoded(payload)}.`,
      'the certificate as a shared secret': await confused,
      'another audience': await forge({ claims: { aud: 'else' } }),
      'another issuer': await forge({ claims: { iss: 'else' } }),
      'another type': await forge({ header: { typ: 'JWT' } }),
      'no end': await forge({ claims: { exp: undefined } }),
      'a role that there is not': await forge({ claims: { sub: 'king/gpu-1' } }),
      'a name with a path': await forge({ claims: { sub: 'worker/../x' } }),
      'no token': 'x',
      nothing: '',
      'a long text': 'x'.repeat(100_000),
    };
    for (const [what, token] of Object.entries(bad))
      await expect(verifyToken(token, ca, Date.now()), what).rejects.toMatchObject({ code: 'IDENTITY_REFUSED' });
  });

  it('is issued into a file that its owner alone reads, with the authority beside it, and not for coordinators or bad names', async () => {
    const file = await issueTokenInto(authority.folder, WORKER, 1);
    expect((await stat(file)).mode & 0o077).toBe(0);
    expect(await loadTokenFile(file)).toMatchObject({ identity: WORKER });
    await copyFile(join(other.folder, 'ca', 'ca.pem'), join(dirname(file), 'ca.pem'));
    await expect(loadTokenFile(file)).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
    await expect(loadTokenFile(join(authority.folder, 'nowhere'))).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
    await writeFile(file, 'x');
    await expect(loadTokenFile(file)).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
    await expect(issueTokenInto(authority.folder, { role: 'coordinator', name: 'a' }, 1)).rejects.toMatchObject({ code: 'USAGE' });
    for (const name of ['../a', 'a/b', ''])
      await expect(issueTokenInto(authority.folder, { role: 'worker', name }, 1)).rejects.toThrow('bad name');
    for (const id of ['../a', 'a/b', '', '-a'])
      await expect(issueTokenInto(authority.folder, { ...WORKER, scope: { kind: 'run', id } }, 1)).rejects.toThrow('bad id');
  });
});

describe('a scope', () => {
  it('holds a certificate to its run or sweep, and is kept when that is issued anew', async () => {
    const folder = await issueInto(authority.folder, { ...WORKER, name: 'scoped' }, [], 1);
    expect((await loadTlsFiles(folder)).identity).toEqual({ ...WORKER, name: 'scoped' });
    const [issued] = (await listIssued(authority.folder)).filter(({ name }) => name === 'scoped');
    expect(issued?.scope).toEqual({ kind: 'run', id: 'run-1' });
  });

  it('allows its own run or sweep alone', () => {
    const enter =
      (place: Identity['scope'], identity: Identity = WORKER) =>
      () =>
        authorise(identity, ['worker'], 'work', place);
    expect(enter({ kind: 'run', id: 'run-1' })).not.toThrow();
    expect(enter({ kind: 'run', id: 'run-2' })).toThrow("doesn't entitle");
    expect(enter({ kind: 'sweep', id: 'run-1' })).toThrow("doesn't entitle");
    expect(enter({ kind: 'run', id: 'run-2' }, { role: 'worker', name: 'a' })).not.toThrow();
    expect(enter({ kind: 'run', id: 'run-2' }, { role: 'coordinator', name: 'a', scope: { kind: 'run', id: 'run-1' } })).toThrow();
  });
});
