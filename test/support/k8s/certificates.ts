/** @file Certificates of cert-manager as data, and X.509 certificates with the fields that they ask for, in place of cert-manager's. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import type { Role } from '../../../src/core/index.ts';
import { type Manifest, ofKind, parseManifests } from './manifest.ts';

/** As far as the component has it. */
export interface CertificateSpec {
  readonly secretName: string;
  readonly issuerRef: { readonly kind: string; readonly name: string };
  readonly isCA?: boolean;
  readonly commonName?: string;
  readonly subject?: { readonly organizations: readonly string[]; readonly organizationalUnits: readonly string[] };
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly usages: readonly string[];
  readonly duration: string;
  readonly renewBefore: string;
  readonly privateKey: { readonly algorithm: string; readonly size: number; readonly encoding: string; readonly rotationPolicy: string };
}

/** The Secrets that pods mount and people take, and whose certificate each must have. */
export const SECRETS: Readonly<Record<string, { readonly role: Role; readonly name: string }>> = {
  'nats-tls': { role: 'nats', name: 'nats' },
  'deepdefense-coordinator-tls': { role: 'coordinator', name: 'main' },
  'deepdefense-worker-tls': { role: 'worker', name: 'pool' },
  'deepdefense-operator-tls': { role: 'operator', name: 'cluster' },
};

/** What the component adds to the platform. */
export async function componentManifests(): Promise<Manifest[]> {
  const files = ['authority.yaml', 'certificates.yaml'].map((name) => readFile(`k8s/components/cert-manager/${name}`, 'utf8'));
  return (await Promise.all(files)).flatMap(parseManifests);
}

/** The specs of Certificates by the Secret that each fills. */
export function certificateSpecs(manifests: readonly Manifest[]): ReadonlyMap<string, CertificateSpec> {
  const specs = ofKind(manifests, 'Certificate').map(({ spec }) => spec as CertificateSpec);
  return new Map(specs.map((spec) => [spec.secretName, spec]));
}

interface Signed {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

const USAGES: Readonly<Record<string, x509.KeyUsageFlags>> = {
  'digital signature': x509.KeyUsageFlags.digitalSignature,
  'cert sign': x509.KeyUsageFlags.keyCertSign,
  'crl sign': x509.KeyUsageFlags.cRLSign,
};
const EXTENDED_USAGES: Readonly<Record<string, string>> = {
  'server auth': x509.ExtendedKeyUsage.serverAuth,
  'client auth': x509.ExtendedKeyUsage.clientAuth,
};

/** A certificate as a spec asks for it. @param issuer undefined = signed by itself */
export async function sign(spec: CertificateSpec, issuer?: Signed): Promise<Signed> {
  const { algorithm, size } = spec.privateKey;
  const signing = { name: algorithm, namedCurve: `P-${size}`, hash: 'SHA-256' };
  const keys = (await webcrypto.subtle.generateKey(signing, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const subject = new x509.Name([
    // Go encodes the organisation before its units, and we do not.
    ...(spec.subject?.organizations ?? []).map((value) => ({ O: [value] })),
    ...(spec.subject?.organizationalUnits ?? []).map((value) => ({ OU: [value] })),
    ...(spec.commonName === undefined ? [] : [{ CN: [spec.commonName] }]),
  ]).toString();
  const alternatives = [
    ...(spec.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(spec.uris ?? []).map((value) => ({ type: 'url' as const, value })),
  ];
  const extended = spec.usages.flatMap((usage) => EXTENDED_USAGES[usage] ?? []);
  const known = spec.usages.flatMap((usage) => USAGES[usage] ?? []);
  const plain = known.reduce((all, one) => all | one);
  if (known.length + extended.length < spec.usages.length) throw new Error(`a usage that is not known here: ${spec.usages.join()}`);
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: issuer?.certificate.subject ?? subject,
    notBefore: new Date(Date.now() - 1000),
    notAfter: new Date(Date.now() + hoursOf(spec.duration) * 3_600_000),
    signingAlgorithm: signing,
    publicKey: keys.publicKey,
    signingKey: (issuer ?? { keys }).keys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(spec.isCA === true, undefined, true),
      new x509.KeyUsagesExtension(plain, true),
      ...(extended.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(extended)]),
      ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create((issuer ?? { keys }).keys.publicKey),
    ],
  });
  return { certificate, keys };
}

/** Durations as the component writes them: hours. */
export function hoursOf(duration: string): number {
  const [, hours] = /^(\d+)h$/.exec(duration) ?? [];
  if (hours === undefined) throw new Error(`not in hours: ${duration}`);
  return Number(hours);
}

/** Writes what a mounted Secret has. @returns the folder */
export async function writeSecret(folder: string, { certificate, keys }: Signed, issuer: Signed): Promise<string> {
  await mkdir(folder, { recursive: true });
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  await writeFile(join(folder, 'tls.crt'), certificate.toString('pem'));
  await writeFile(join(folder, 'tls.key'), key, { mode: 0o600 });
  await writeFile(join(folder, 'ca.crt'), issuer.certificate.toString('pem'));
  return folder;
}

/** What cert-manager would have made of the component. */
export interface IssuedComponent {
  /** A folder for each Certificate that isn't the authority's, by the name of its Secret. */
  readonly folders: ReadonlyMap<string, string>;
  /** Makes the files of a Secret anew. */
  renew(secret: string): Promise<string>;
}

/** Makes an authority as the component asks for it, and all that it signs. */
export async function issueComponent(folder: string): Promise<IssuedComponent> {
  const specs = certificateSpecs(await componentManifests());
  const specOf = (secret: string): CertificateSpec => {
    const spec = specs.get(secret);
    if (spec === undefined) throw new Error(`no Certificate for ${secret}`);
    return spec;
  };
  const issuer = await sign(specOf('deepdefense-ca'));
  const renew = async (secret: string) => writeSecret(join(folder, secret), await sign(specOf(secret), issuer), issuer);
  const folders = Object.keys(SECRETS).map(async (secret) => [secret, await renew(secret)] as const);
  return { folders: new Map(await Promise.all(folders)), renew };
}
