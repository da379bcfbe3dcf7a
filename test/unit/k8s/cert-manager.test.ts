import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROLES } from '../../../src/core/index.ts';
import { authorise, loadTlsFiles } from '../../../src/security/index.ts';
import {
  type CertificateSpec,
  certificateSpecs,
  componentManifests,
  hoursOf,
  issueComponent,
  SECRETS,
} from '../../support/k8s/certificates.ts';
import { buildOverlay, KUSTOMIZE_SKIPPED } from '../../support/k8s/kustomize.ts';
import { at, type Manifest, nameOf, ofKind, parseManifests, podTemplates } from '../../support/k8s/manifest.ts';
import { schemaProblems } from '../../support/k8s/schema.ts';
import { unknownFields } from '../../support/k8s/unknown-fields.ts';

let manifests: Manifest[] = [];
let specs: ReadonlyMap<string, CertificateSpec> = new Map();
let folders: ReadonlyMap<string, string> = new Map();
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cert-manager-'));
  manifests = await componentManifests();
  specs = certificateSpecs(manifests);
  ({ folders } = await issueComponent(folder));
});
afterAll(() => rm(folder, { recursive: true }));

describe('cert-manager: certificates of the component', () => {
  test('fill the Secrets that somebody needs, and the authority, and no other', () => {
    expect([...specs.keys()].sort()).toEqual([...Object.keys(SECRETS), 'deepdefense-ca'].sort());
  });

  test.each(Object.entries(SECRETS))('%s: has the role and name that it is for, and may act in no other role', async (secret, owner) => {
    const { identity } = await loadTlsFiles(folders.get(secret) as string);
    expect(identity).toEqual(owner);
    for (const role of ROLES) {
      const act = () => authorise(identity, [role], 'act');
      // A coordinator may do what the others may.
      if (role === owner.role || owner.role === 'coordinator') expect(act).not.toThrow();
      else expect(act).toThrow('entitle');
    }
  });

  test.each(Object.entries(SECRETS))('%s: has the subject, usages and key of `certs issue`', async (secret, { role }) => {
    const certificate = new X509Certificate(await readFile(join(folders.get(secret) as string, 'tls.crt')));
    expect(certificate.subject).toBe(`O=deepdefense\nOU=${role}`);
    expect(certificate.keyUsage?.toSorted()).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(certificate.ca).toBe(false);
  });

  test('are renewed with a new key, in time for a restart of NATS; the authority keeps its key and outlives them', () => {
    const authority = specs.get('deepdefense-ca') as CertificateSpec;
    expect(authority.privateKey.rotationPolicy).toBe('Never');
    for (const secret of Object.keys(SECRETS)) {
      const { privateKey, duration, renewBefore } = specs.get(secret) as CertificateSpec;
      expect(privateKey.rotationPolicy).toBe('Always');
      expect(hoursOf(renewBefore)).toBeGreaterThanOrEqual(14 * 24);
      expect(hoursOf(duration)).toBeLessThan(hoursOf(authority.renewBefore));
    }
  });

  test('are for the hosts by which NATS servers and their clients look for it', async () => {
    const { dnsNames } = specs.get('nats-tls') as CertificateSpec;
    const base = parseManifests(await readFile('k8s/base/nats/stateful-set.yaml', 'utf8'));
    const routes = at(
      podTemplates(base)[0]?.containers[0]?.env?.find(({ name }) => name === 'NATS_ROUTES'),
      ['value'],
    ) as string;
    const hosts = (JSON.parse(routes) as readonly string[]).map((route) => new URL(route).hostname);
    expect(hosts.map((host) => host.replace(/^[^.]+/, '*'))).toEqual(hosts.map(() => dnsNames?.[1]));
    expect(await readFile('k8s/base/workers/deployment.yaml', 'utf8')).toContain(`tls://${dnsNames?.[0]}:4222`);
  });

  test('fit the schemas, which know misspelt and missing values', async () => {
    expect((await Promise.all(manifests.map(schemaProblems))).flat()).toEqual([]);
    expect(unknownFields(manifests)).toEqual([]);
    const [certificate] = ofKind(manifests, 'Certificate') as [Manifest];
    const spec = certificate.spec as CertificateSpec;
    const broken = (change: object) => ({ ...certificate, spec: { ...spec, ...change } });
    expect(await schemaProblems(broken({ secretName: undefined }))).not.toEqual([]);
    expect(await schemaProblems(broken({ privateKey: { ...spec.privateKey, algorithm: 'DSA' } }))).not.toEqual([]);
    expect(await schemaProblems(broken({ usages: ['server authentication'] }))).not.toEqual([]);
    expect(unknownFields([broken({ renewAt: '720h' })])).toHaveLength(1);
  });
});

describe.skipIf(KUSTOMIZE_SKIPPED !== '')(`cert-manager: the component in an overlay${KUSTOMIZE_SKIPPED}`, () => {
  let overlay = '';
  const build = async (patches: readonly unknown[]) => {
    const kustomization = { resources: ['../../base'], components: ['../../components/cert-manager'], patches };
    await writeFile(join(overlay, 'kustomization.yaml'), JSON.stringify(kustomization));
    return buildOverlay(overlay);
  };
  beforeAll(async () => {
    overlay = await mkdtemp('k8s/overlays/cert-manager-');
  });
  afterAll(() => rm(overlay, { recursive: true }));

  test('mounts Secrets that it fills as whole folders, so that their files change, and NATS looks for the files that come', async () => {
    const built = await build([]);
    const mounted = podTemplates(built).flatMap(({ owner, spec, containers }) => {
      const { secret } = spec.volumes?.find(({ name }) => name === 'certs') ?? {};
      const mounts = containers.flatMap(({ volumeMounts = [] }) => volumeMounts).filter(({ name }) => name === 'certs');
      expect(mounts).toEqual([{ name: 'certs', mountPath: '/certs', readOnly: true }]);
      expect(secret?.items).toBeUndefined();
      return secret?.secretName === undefined ? [] : [[nameOf(owner), SECRETS[secret.secretName]?.role]];
    });
    expect(Object.fromEntries(mounted)).toEqual({ 'StatefulSet/nats': 'nats', 'Deployment/deepdefense-workers': 'worker' });
    const [nats] = podTemplates(ofKind(built, 'StatefulSet'));
    const files = nats?.containers[0]?.env?.flatMap(({ value = '' }) => (value.startsWith('/certs/') ? value.slice('/certs/'.length) : []));
    expect(files?.toSorted()).toEqual((await readdir(folders.get('nats-tls') as string)).toSorted());
  });

  test('takes a ClusterIssuer in place of its authority by the patches that it names', async () => {
    const text = await readFile('k8s/components/cert-manager/kustomization.yaml', 'utf8');
    const comment = text.split('\n').filter((line) => line.startsWith('#   '));
    const { patches } = parse(comment.map((line) => line.slice(4)).join('\n')) as { readonly patches: readonly unknown[] };
    const built = await build(patches);
    expect(ofKind(built, 'Issuer')).toEqual([]);
    expect(certificateSpecs(built).size).toBe(Object.keys(SECRETS).length);
    for (const { issuerRef } of certificateSpecs(built).values()) expect(issuerRef).toMatchObject({ kind: 'ClusterIssuer', name: 'YOURS' });
  });
});
