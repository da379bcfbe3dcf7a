/**
 * @file Makes an authority and the certificates that it signs (X.509 v3, ECDSA with P-256 and SHA-256). The library that encodes them is
 * only loaded here.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { type Identity, identityUri } from './identity.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
/** Clocks of a cluster differ. */
const BACKDATED_MS = 300_000;

/** PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** A new authority. */
export async function createAuthority(name: string, days: number, nowMs: number): Promise<KeyPair> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...frame(days, nowMs),
    name: [{ CN: [name] }],
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await keyPem(keys) };
}

/** A certificate for one process, which is server and client in one: its role decides what it may do. */
export async function issueCertificate(
  authority: KeyPair,
  identity: Identity,
  hosts: readonly string[],
  days: number,
  nowMs: number,
): Promise<KeyPair> {
  const keys = await newKeys();
  const issuer = new x509.X509Certificate(authority.certificate);
  const signingKey = await webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(authority.key), ALGORITHM, false, ['sign']);
  const certificate = await x509.X509CertificateGenerator.create({
    ...frame(days, nowMs),
    // The role alone: servers of NATS know users by name or, with the same permissions for all of a role, by this subject.
    subject: new x509.Name([{ OU: [identity.role] }, { O: ['deepdefense'] }]).toString(),
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: identityUri(identity) },
        ...hosts.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? ('ip' as const) : ('dns' as const), value })),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await keyPem(keys) };
}

function frame(days: number, nowMs: number) {
  return {
    // Positive, and never shorter than it says.
    serialNumber: `4${Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
      .toString('hex')
      .slice(1)}`,
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
    signingAlgorithm: ALGORITHM,
  };
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function keyPem({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', privateKey), 'PRIVATE KEY');
}
