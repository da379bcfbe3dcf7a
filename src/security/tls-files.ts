/**
 * @file The certificates of a process: a folder with ca.pem, cert.pem and key.pem, as `deepdefense certs issue` makes it, or with ca.crt,
 * tls.crt and tls.key, as Kubernetes names them in a Secret of the type kubernetes.io/tls and cert-manager fills it.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DeepDefenseError, systemClock } from '../core/index.ts';
import { type Identity, identityOf } from './identity.ts';

export const TLS_FILE_NAMES = { authority: 'ca.pem', certificate: 'cert.pem', key: 'key.pem' } as const;
const SECRET_FILE_NAMES = { authority: 'ca.crt', certificate: 'tls.crt', key: 'tls.key' } as const;

type Part = keyof typeof TLS_FILE_NAMES;

/** What a server or client needs for mutual TLS; PEM. */
export interface TlsFiles {
  readonly folder: string;
  readonly authority: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
  readonly identity: Identity;
  /** End of the certificate's validity, in ms since the epoch. */
  readonly notAfterMs: number;
}

/**
 * The files of a folder. Where there is a tls.crt its names count: cert-manager adds its files to a Secret that was there before, whose
 * others grow old.
 */
export async function tlsFilePaths(folder: string): Promise<Readonly<Record<Part, string>>> {
  const isOfSecret = await access(join(folder, SECRET_FILE_NAMES.certificate)).then(
    () => true,
    () => false,
  );
  const { authority, certificate, key } = isOfSecret ? SECRET_FILE_NAMES : TLS_FILE_NAMES;
  return { authority: join(folder, authority), certificate: join(folder, certificate), key: join(folder, key) };
}

/**
 * Reads and checks the certificates of a folder.
 * @throws DeepDefenseError CERTIFICATE_INVALID when a file is missing, is none, has ended, or doesn't fit the others
 */
export async function loadTlsFiles(folder: string, nowMs: number = systemClock.nowMs()): Promise<TlsFiles> {
  const paths = await tlsFilePaths(folder);
  const read = (part: Part) => readPart(folder, paths[part]);
  const [authority, certificate, key] = await Promise.all([read('authority'), read('certificate'), read('key')]);
  const own = parse(folder, () => new X509Certificate(certificate));
  const authorities = parse(folder, () => pemBlocks(authority).map((block) => new X509Certificate(block)));
  const privateKey = parse(folder, () => createPrivateKey(key));
  const identity = identityOf(own.subjectAltName);
  if (identity === undefined)
    throw invalid(
      folder,
      'a role and a name in its alternative names',
      own.subjectAltName ?? 'no alternative names',
      'issue it with `deepdefense certs issue`',
    );
  if (!own.checkPrivateKey(privateKey))
    throw invalid(folder, `the key of ${basename(paths.certificate)}`, 'another key', 'put the files that were issued together back');
  if (!authorities.some((each) => own.checkIssued(each) && own.verify(each.publicKey)))
    throw invalid(
      folder,
      `a certificate signed by ${basename(paths.authority)}`,
      'one of another authority',
      'issue it anew with `deepdefense certs issue`',
    );
  const [from, to] = [Date.parse(own.validFrom), Date.parse(own.validTo)];
  if (nowMs < from || nowMs > to)
    throw invalid(
      folder,
      'a certificate that is valid now',
      `valid from ${own.validFrom} to ${own.validTo}`,
      'renew it with `deepdefense certs rotate`, or set the clock',
    );
  return { folder, authority, certificate, key, identity, notAfterMs: to };
}

/** The certificates of a file that holds several. */
export function pemBlocks(pem: Buffer | string): readonly string[] {
  return pem.toString().match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
}

async function readPart(folder: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new DeepDefenseError('CERTIFICATE_INVALID', {
      what: `can't read "${path}"`,
      expected: `a folder with ${[TLS_FILE_NAMES, SECRET_FILE_NAMES].map((names) => Object.values(names).join(', ')).join(', or with ')}`,
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'make one with `deepdefense certs issue`',
      fields: { folder },
      cause,
    });
  }
}

function parse<T>(folder: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new DeepDefenseError('CERTIFICATE_INVALID', {
      what: `the certificates in "${folder}" can't be read`,
      expected: 'PEM files',
      got: cause instanceof Error ? cause.message : String(cause),
      todo: 'issue them anew with `deepdefense certs issue`',
      fields: { folder },
      cause,
    });
  }
}

function invalid(folder: string, expected: string, got: string, todo: string): DeepDefenseError {
  return new DeepDefenseError('CERTIFICATE_INVALID', {
    what: `the certificate in "${folder}" can't be used`,
    expected,
    got,
    todo,
    fields: { folder },
  });
}
