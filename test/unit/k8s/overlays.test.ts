import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestAuthority } from '../../support/certificates.ts';
import { buildOverlay, KUSTOMIZE_SKIPPED } from '../../support/k8s/kustomize.ts';
import { at, type Manifest, nameOf, parseManifests, podTemplates } from '../../support/k8s/manifest.ts';
import { policyProblems } from '../../support/k8s/policy.ts';
import { schemaProblems } from '../../support/k8s/schema.ts';
import { unknownFields } from '../../support/k8s/unknown-fields.ts';
import { NATS_SERVER, NATS_SKIPPED } from '../../support/nats-server.ts';

const OVERLAYS = ['kind', 'gpu', 'production'] as const;
/** What is applied together. */
const SETS = [...OVERLAYS, 'all components', 'kind and data'];

describe.skipIf(KUSTOMIZE_SKIPPED !== '')(`overlays${KUSTOMIZE_SKIPPED}`, () => {
  const built = new Map<string, Manifest[]>();
  let everything = '';

  beforeAll(async () => {
    // Kustomize wants relative paths, so this lies beside the overlays for a moment.
    everything = await mkdtemp('k8s/overlays/everything-');
    const components = await readdir('k8s/components');
    const kustomization = { resources: ['../../base'], components: components.map((name) => `../../components/${name}`) };
    await writeFile(join(everything, 'kustomization.yaml'), JSON.stringify(kustomization));
    const folders = [...OVERLAYS.map((name) => [name, `k8s/overlays/${name}`] as const), ['all components', everything] as const];
    await Promise.all(folders.map(async ([name, folder]) => built.set(name, await buildOverlay(folder))));
    const data = await buildOverlay('k8s/data');
    built.set('kind and data', [...(built.get('kind') ?? []), ...data]);
  }, 60_000);

  afterAll(() => rm(everything, { recursive: true, force: true }));

  test.each(SETS)('overlay %s: fits the schemas', async (name) => {
    const manifests = built.get(name) ?? [];
    expect(manifests.length).toBeGreaterThan(20);
    expect((await Promise.all(manifests.map(schemaProblems))).flat()).toEqual([]);
  });

  test.each(SETS)('overlay %s: keeps the policies', async (name) => {
    expect(await policyProblems(built.get(name) ?? [])).toEqual([]);
  });

  test('examples of submitted objects: keep the policies beside the platform', async () => {
    const files = (await readdir('k8s')).includes('examples') ? await readdir('k8s/examples') : [];
    for (const file of files.filter((name) => name.endsWith('.yaml'))) {
      const submitted = parseManifests(await readFile(`k8s/examples/${file}`, 'utf8'));
      expect((await Promise.all(submitted.map(schemaProblems))).flat(), file).toEqual([]);
      expect(await policyProblems([...(built.get('production') ?? []), ...submitted]), file).toEqual([]);
    }
  });

  // Documents that several overlays have in common are checked once.
  test('overlays: have no field that Kubernetes does not know', { timeout: 120_000 }, () => {
    const documents = new Map([...built.values()].flat().map((manifest) => [JSON.stringify(manifest), manifest]));
    expect(unknownFields([...documents.values()])).toEqual([]);
  });

  test.skipIf(NATS_SKIPPED !== '').each(OVERLAYS)(`overlay %s: a NATS server takes its configuration${NATS_SKIPPED}`, async (name) => {
    const manifests = built.get(name) ?? [];
    const [pod] = podTemplates(manifests.filter((manifest) => nameOf(manifest) === 'StatefulSet/nats'));
    const [server] = pod?.spec.containers ?? [];
    const configMap = pod?.spec.volumes?.find((volume) => volume.name === 'config')?.configMap?.name;
    const files = at(
      manifests.find((manifest) => nameOf(manifest) === `ConfigMap/${configMap}`),
      ['data'],
    ) as Record<string, string>;
    const authority = await TestAuthority.create();
    const folder = await mkdtemp(join(tmpdir(), 'nats-config-'));
    try {
      const certs = await authority.issue('nats', 'nats');
      for (const [file, content] of Object.entries(files)) await writeFile(join(folder, file), content);
      // Only what the pod gets, with this machine's paths.
      const env = Object.fromEntries(
        (server?.env ?? []).map((each) => [
          each.name,
          (each.value ?? 'nats-0').replace('/certs', certs).replace(/^\/data$/, join(folder, 'data')),
        ]),
      );
      const args = (server?.args ?? []).map((arg) => arg.replace('/etc/nats', folder));
      const { stderr } = await promisify(execFile)(NATS_SERVER as string, ['-t', ...args], { env });
      expect(stderr).toContain('is valid');
    } finally {
      await rm(folder, { recursive: true });
      await authority.close();
    }
  });
});
