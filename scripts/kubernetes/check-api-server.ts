/**
 * @file Applies the platform to a real API server and runs `deepdefense submit` against it: what it takes, what its admission and its roles
 * refuse, and what its controllers and its scheduler make of it. Nodes are entries without a machine: no pod starts, no image is pulled, no
 * packet is sent.
 *
 * Usage: npm run build && node --import tsx scripts/kubernetes/check-api-server.ts
 * Needs: scripts/kubernetes/build-control-plane.sh, kubectl from 1.31 on (its Kustomize is used), and for the chart scripts/get-helm.sh.
 * Exits with 1 when a check fails.
 */
import type { Manifest } from '../../test/support/k8s/manifest.ts';
import { HELM_SKIPPED, helm } from '../../test/support/k8s/helm.ts';
import { type ControlPlane, withControlPlane } from './api-server/control-plane.ts';
import { checkControllers } from './api-server/controllers.ts';
import { applyClientSide, applyFolder, build, checkRights, installKinds } from './api-server/platform.ts';
import { checkPods } from './api-server/pods.ts';
import { differs, Report } from './api-server/report.ts';
import { checkScheduling } from './api-server/scheduling.ts';
import { checkSubmissions, RUN, submit, SWEEP } from './api-server/submissions.ts';

// The programs end with this process, however it ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const report = new Report();
const started = performance.now();

/** Each part has an empty cluster of its own. */
async function onCluster(name: string, part: (plane: ControlPlane) => Promise<void>): Promise<void> {
  report.section(name);
  await withControlPlane(part);
}

/** What `submit` would send. */
async function rendered(plane: ControlPlane): Promise<Manifest[]> {
  const variants = [
    ['-c', SWEEP, '--workers', '2'],
    ['-c', RUN],
    ['-c', RUN, '--id', 'with-gpus', '--gpus', '2', '--priority', 'high'],
  ];
  const all = await Promise.all(variants.map((args) => submit(plane, 'admin', '--dry-run', ...args)));
  return all.flatMap(({ stdout }) => (JSON.parse(stdout) as { readonly manifests: Manifest[] }).manifests);
}

await onCluster('k8s/overlays/kind, and submissions', async (plane) => {
  const { admin } = plane.kubectl;
  const { stdout } = await admin.run('version');
  console.log(stdout.trim().replaceAll('\n', ', '));
  const platform = await build('k8s/overlays/kind');
  await applyClientSide(admin, 'k8s/overlays/kind', report);
  await applyFolder(admin, 'k8s/overlays/kind', platform, report);
  const data = await build('k8s/data');
  await applyFolder(admin, 'k8s/data', data, report);
  await checkRights(plane, report);
  await checkPods(admin, [...platform, ...data, ...(await rendered(plane))], report);
  await admin.run('delete', '--kustomize', 'k8s/data');
  const names = await checkSubmissions(plane, report);
  await plane.startControllers();
  await checkControllers(plane, names, report);
});

await onCluster('k8s/overlays/gpu', async (plane) => {
  const platform = await build('k8s/overlays/gpu');
  await applyFolder(plane.kubectl.admin, 'k8s/overlays/gpu', platform, report);
  await checkPods(plane.kubectl.admin, platform, report);
  await checkScheduling(plane, report);
});

await onCluster('k8s/overlays/production', async (plane) => {
  const { admin } = plane.kubectl;
  await installKinds(plane, report);
  const platform = await build('k8s/overlays/production');
  await applyFolder(admin, 'k8s/overlays/production', platform, report);
  await plane.startControllers();
  await report.eventually('three pods of NATS, within the quota', async () => {
    const { items } = await admin.get<{ readonly items: readonly unknown[] }>('pods', '--namespace', 'deepdefense');
    return differs(items.length, 3);
  });
  // A maximum of the LimitRange would be their share.
  await report.eventually('none of them takes a GPU out of it', async () => {
    const quota = await admin.get<{ readonly status?: { readonly used?: Readonly<Record<string, string>> } }>(
      ...['resourcequota', 'deepdefense', '--namespace', 'deepdefense'],
    );
    return differs(quota.status?.used?.['requests.nvidia.com/gpu'], '0');
  });
  await checkPods(admin, platform, report);
  const queued = await submit(plane, 'researcher', '-c', RUN, '--id', 'queued', '--queue', 'deepdefense');
  report.check('a run whose workers wait in a queue is taken', differs(queued.document.state, 'submitted'));
  await report.eventually('its Job is suspended, and has no pods', async () => {
    const { status } = await admin.get<{
      readonly status?: { readonly active?: number; readonly conditions?: readonly { readonly type: string }[] };
    }>(...['job', 'queued-workers', '--namespace', 'deepdefense']);
    return differs([status?.active ?? 0, status?.conditions?.map(({ type }) => type)], [0, ['Suspended']]);
  });
  // As Kueue does when there is room.
  const admitted = ['patch', 'job', 'queued-workers', '--namespace', 'deepdefense', '--field-manager', 'kueue'];
  await admin.run(...admitted, '--patch', '{"spec": {"suspend": false}}');
  const again = await submit(plane, 'researcher', '-c', RUN, '--id', 'queued', '--queue', 'deepdefense');
  report.check('submitted again when the queue has let it start, it goes on', differs(again.document.state, 'unchanged'));
});

if (HELM_SKIPPED === '')
  await onCluster('k8s/helm/deepdefense', async ({ kubeconfig, kubectl: { admin } }) => {
    const run = async (what: string, ...args: readonly string[]) => {
      const problem = await helm(...args, '--namespace', 'deepdefense', '--kubeconfig', kubeconfig).then(() => '', String);
      report.check(`the chart is ${what}`, problem);
    };
    await admin.run('create', 'namespace', 'deepdefense');
    await admin.run('label', 'namespace', 'deepdefense', 'pod-security.kubernetes.io/enforce=restricted');
    await run('installed', 'install', 'deepdefense', 'k8s/helm/deepdefense', '--set', 'nats.replicas=1');
    await run('upgraded', 'upgrade', 'deepdefense', 'k8s/helm/deepdefense', '--set', 'nats.replicas=1,workers.replicas=8');
    const { spec } = await admin.get<{ readonly spec: { readonly replicas: number } }>(
      ...['deployment', 'deepdefense-workers', '--namespace', 'deepdefense'],
    );
    report.check('it has eight workers then', differs(spec.replicas, 8));
    await run('removed', 'uninstall', 'deepdefense');
  });
else console.log(`\nthe chart${HELM_SKIPPED}`);

console.log(`\n${report.passed} passed, ${report.failed} failed, in ${Math.round((performance.now() - started) / 1000)} s`);
process.exitCode = report.failed === 0 ? 0 : 1;
