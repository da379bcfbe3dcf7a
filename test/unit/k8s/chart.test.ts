import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { HELM_SKIPPED, helm, renderChart } from '../../support/k8s/helm.ts';
import { buildOverlay, KUSTOMIZE_SKIPPED } from '../../support/k8s/kustomize.ts';
import { type Manifest, nameOf, parseManifests, podTemplates } from '../../support/k8s/manifest.ts';
import { policyProblems } from '../../support/k8s/policy.ts';
import { schemaProblems } from '../../support/k8s/schema.ts';

const CHART = 'k8s/helm/deepdefense';
const GPU = [
  'workers.image="deepdefense/worker-cuda:0.1.0"',
  'workers.runtimeClassName="nvidia"',
  'workers.nodeSelector={"nvidia.com/gpu.present":"true"}',
  'workers.resources.requests.nvidia\\.com/gpu=1',
  'workers.resources.limits.nvidia\\.com/gpu=1',
];
/** The namespace is made outside of the chart. */
const NAMESPACE = parseManifests(readFileSync('k8s/base/namespace.yaml', 'utf8'));

/** By name, and without the empty nodeSelector that the chart leaves. */
function byName(manifests: readonly Manifest[]): Record<string, unknown> {
  const text = JSON.stringify(Object.fromEntries(manifests.map((manifest) => [nameOf(manifest), manifest])));
  return JSON.parse(text.replaceAll('"nodeSelector":{},', '').replaceAll(',"nodeSelector":{}', '')) as Record<string, unknown>;
}

describe.skipIf(HELM_SKIPPED !== '')(`chart${HELM_SKIPPED}`, () => {
  test('chart: is without fault to helm lint', async () => {
    expect(await helm('lint', '--strict', '--kube-version', '1.33.0', CHART)).toContain('0 chart(s) failed');
  });

  test.skipIf(KUSTOMIZE_SKIPPED !== '')(`chart: renders k8s/base where no value is given${KUSTOMIZE_SKIPPED}`, async () => {
    const base = (await buildOverlay('k8s/base')).filter(({ kind }) => kind !== 'Namespace');
    expect(byName(await renderChart(CHART, 'deepdefense'))).toEqual(byName(base));
  });

  test.skipIf(KUSTOMIZE_SKIPPED !== '')(`chart: its templates and values are up to date${KUSTOMIZE_SKIPPED}`, { timeout: 60_000 }, () => {
    execFileSync(process.execPath, ['--import', 'tsx', 'scripts/kubernetes/render-chart.ts', '--check'], { encoding: 'utf8' });
  });

  test.each([
    ['one NATS server and volumes for one node', ['nats.replicas=1', 'data.accessModes=["ReadWriteOnce"]', 'trials.class="local-path"']],
    ['GPUs', GPU],
    ['no workers', ['workers.replicas=0', 'submitters.group="researchers"']],
  ])('chart: with %s fits the schemas and keeps the policies', async (_, values) => {
    const manifests = [...NAMESPACE, ...(await renderChart(CHART, 'deepdefense', values))];
    expect((await Promise.all(manifests.map(schemaProblems))).flat()).toEqual([]);
    expect(await policyProblems(manifests)).toEqual([]);
  });

  test('chart: values reach their objects', async () => {
    const manifests = await renderChart(CHART, 'team-a', [...GPU, 'nats.replicas=1']);
    const pods = new Map(podTemplates(manifests).map((pod) => [nameOf(pod.owner), pod]));
    expect(pods.get('StatefulSet/nats')?.containers[0]?.args).toContain('/etc/nats/nats.conf');
    const worker = pods.get('Deployment/deepdefense-workers');
    expect(worker?.spec).toMatchObject({ runtimeClassName: 'nvidia', nodeSelector: { 'nvidia.com/gpu.present': 'true' } });
    expect(worker?.containers[0]).toMatchObject({
      image: 'deepdefense/worker-cuda:0.1.0',
      env: expect.arrayContaining([{ name: 'DEEPDEFENSE_NATS', value: 'tls://nats.team-a.svc:4222' }]) as unknown,
      resources: { requests: { cpu: '1', 'nvidia.com/gpu': 1 }, limits: { 'nvidia.com/gpu': 1 } },
    });
    const elsewhere = manifests.filter(({ kind, metadata }) => kind !== 'PriorityClass' && metadata.namespace !== 'team-a');
    expect(elsewhere.map(nameOf)).toEqual([]);
    expect(JSON.stringify(manifests)).not.toContain('deepdefense.svc');
  });

  test.each([
    ['two NATS servers, which have no majority', 'nats.replicas=2'],
    ['an image without a version', 'workers.image="deepdefense/worker-cpu:latest"'],
    ['a value that the chart does not have', 'workers.replica=3'],
    ['resources without a limit', 'workers.resources.limits.memory=null'],
    ['a size that is none', 'data.size="much"'],
  ])('chart: refuses %s', async (_, value) => {
    await expect(renderChart(CHART, 'deepdefense', [value])).rejects.toThrow(/values don't meet the specifications of the schema/);
  });
});
