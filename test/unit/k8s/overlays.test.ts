import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildOverlay, KUSTOMIZE_SKIPPED } from '../../support/k8s/kustomize.ts';
import type { Manifest } from '../../support/k8s/manifest.ts';
import { policyProblems } from '../../support/k8s/policy.ts';
import { schemaProblems } from '../../support/k8s/schema.ts';
import { unknownFields } from '../../support/k8s/unknown-fields.ts';

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

  // Documents that several overlays have in common are checked once.
  test('overlays: have no field that Kubernetes does not know', { timeout: 120_000 }, () => {
    const documents = new Map([...built.values()].flat().map((manifest) => [JSON.stringify(manifest), manifest]));
    expect(unknownFields([...documents.values()])).toEqual([]);
  });
});
