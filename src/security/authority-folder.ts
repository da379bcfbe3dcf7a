/**
 * @file The folder of an authority: `ca/` with its certificate and key, one folder per certificate that it has issued, `ROLE-NAME/`, and
 * one per token, `token-ROLE-NAME/`.
 * Keys are readable by their owner alone.
 */
import { X509Certificate } from 'node:crypto';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DeepDefenseError, ROLES, systemClock, writeFileAtomic } from '../core/index.ts';
import type { KeyPair } from './certificates.ts';
import { checkIssuable, type Identity, identityOf, type Scope } from './identity.ts';
import { loadTlsFiles, TLS_FILE_NAMES } from './tls-files.ts';
import { TOKEN_FILE_NAME } from './token-files.ts';

const AUTHORITY_FOLDER = 'ca';
const AUTHORITY_FILES = { certificate: 'ca.pem', key: 'ca-key.pem' } as const;
/** What a certificate was issued for, so that it can be renewed. */
const HOSTS_FILE = 'hosts.json';
const DAY_MS = 86_400_000;

/** A certificate that an authority has issued. */
export interface IssuedCertificate extends Identity {
  readonly folder: string;
  readonly hosts: readonly string[];
  /** Undefined where it can't be used, see `problem`. */
  readonly daysLeft: number | undefined;
  readonly problem: string | undefined;
}

/**
 * Makes a new authority.
 * @throws DeepDefenseError USAGE where there is one; STORAGE_FAILED
 */
export async function initAuthority(folder: string, days: number): Promise<void> {
  const path = join(folder, AUTHORITY_FOLDER);
  if ((await stat(join(path, AUTHORITY_FILES.key)).catch(() => undefined)) !== undefined) {
    throw new DeepDefenseError('USAGE', {
      what: `there is an authority in "${folder}"`,
      todo: 'issue certificates with it, or give another folder; a new authority would end the trust in all that this one has signed',
      fields: { folder },
    });
  }
  const { createAuthority } = await import('./certificates.ts');
  const pair = await createAuthority('deepdefense', days, systemClock.nowMs());
  await mkdir(path, { recursive: true, mode: 0o700 });
  // The key last: with it the authority is there.
  await writeFileAtomic(join(path, AUTHORITY_FILES.certificate), pair.certificate);
  await writeFileAtomic(join(path, AUTHORITY_FILES.key), pair.key, { mode: 0o600 });
}

/**
 * Issues a certificate, or a new one in place of an earlier one of the same role and name.
 * @param hosts names and addresses for programs that check them; ours go by the role
 * @returns its folder
 * @throws DeepDefenseError USAGE for a bad name or where there is no authority; STORAGE_FAILED
 */
export async function issueInto(folder: string, identity: Identity, hosts: readonly string[], days: number): Promise<string> {
  checkIssuable(identity);
  const authority = await readAuthority(folder);
  const { issueCertificate } = await import('./certificates.ts');
  const pair = await issueCertificate(authority, identity, hosts, days, systemClock.nowMs());
  const path = join(folder, `${identity.role}-${identity.name}`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(path, HOSTS_FILE), JSON.stringify(hosts));
  await writeFileAtomic(join(path, TLS_FILE_NAMES.authority), authority.certificate);
  await writeFileAtomic(join(path, TLS_FILE_NAMES.key), pair.key, { mode: 0o600 });
  await writeFileAtomic(join(path, TLS_FILE_NAMES.certificate), pair.certificate);
  return path;
}

/**
 * Signs a token, in place of an earlier one of the same role and name.
 * @returns its file; the authority's certificate lies beside it
 * @throws DeepDefenseError USAGE for a bad name or id, for a coordinator, or where there is no authority; STORAGE_FAILED
 */
export async function issueTokenInto(folder: string, identity: Identity, days: number): Promise<string> {
  checkIssuable(identity);
  if (identity.role === 'coordinator')
    throw new DeepDefenseError('USAGE', {
      what: 'a coordinator needs a certificate: it listens',
      expected: 'a token of the role worker or operator',
      todo: 'use `deepdefense certs issue --role coordinator`',
    });
  const authority = await readAuthority(folder);
  const { signToken } = await import('./tokens.ts');
  const token = await signToken(authority.key, identity, days, systemClock.nowMs());
  const path = join(folder, `token-${identity.role}-${identity.name}`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(path, TLS_FILE_NAMES.authority), authority.certificate);
  const file = join(path, TOKEN_FILE_NAME);
  await writeFileAtomic(file, `${token}\n`, { mode: 0o600 });
  return file;
}

/** All certificates that an authority has issued into its folder, by role and name. */
export async function listIssued(folder: string): Promise<readonly IssuedCertificate[]> {
  const names = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const issued: IssuedCertificate[] = [];
  for (const directory of names.sort()) {
    const role = ROLES.find((each) => directory.startsWith(`${each}-`));
    if (role === undefined) continue;
    const path = join(folder, directory);
    const hosts = JSON.parse(await readFile(join(path, HOSTS_FILE), 'utf8').catch(() => '[]')) as string[];
    const common = { role, name: directory.slice(role.length + 1), scope: await scopeOf(path), folder: path, hosts };
    try {
      const { notAfterMs } = await loadTlsFiles(path);
      issued.push({ ...common, daysLeft: (notAfterMs - systemClock.nowMs()) / DAY_MS, problem: undefined });
    } catch (error) {
      if (!(error instanceof DeepDefenseError)) throw error;
      issued.push({ ...common, daysLeft: undefined, problem: `${error.parts.what}: ${error.parts.got ?? ''}` });
    }
  }
  return issued;
}

/** Also of a certificate that has ended. */
async function scopeOf(folder: string): Promise<Scope | undefined> {
  try {
    return identityOf(new X509Certificate(await readFile(join(folder, TLS_FILE_NAMES.certificate))).subjectAltName)?.scope;
  } catch {
    return undefined;
  }
}

async function readAuthority(folder: string): Promise<KeyPair> {
  const read = (name: string) => readFile(join(folder, AUTHORITY_FOLDER, name), 'utf8');
  try {
    return { certificate: await read(AUTHORITY_FILES.certificate), key: await read(AUTHORITY_FILES.key) };
  } catch (cause) {
    throw new DeepDefenseError('USAGE', {
      what: `there is no authority in "${folder}"`,
      expected: `${AUTHORITY_FOLDER}/${AUTHORITY_FILES.certificate} and ${AUTHORITY_FOLDER}/${AUTHORITY_FILES.key}`,
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'make one with `deepdefense certs init`',
      fields: { folder },
      cause,
    });
  }
}
