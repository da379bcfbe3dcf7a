/** @file Where the scheduler puts the pods of the overlay `gpu`. Nodes and volumes are entries of the API server, without a machine or a disk. */
import type { ControlPlane } from './control-plane.ts';
import { differs, type Report } from './report.ts';

interface Pod {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly message?: string }[] };
}

/** Three nodes without GPUs and two with one each, tainted as NVIDIA's operator does. */
function nodes(): readonly object[] {
  const names = ['cpu-0', 'cpu-1', 'cpu-2', 'gpu-0', 'gpu-1'];
  return names.map((name, index) => {
    const gpu = name.startsWith('gpu');
    const amounts = { cpu: '8', memory: '32Gi', 'ephemeral-storage': '100Gi', pods: '110', ...(gpu && { 'nvidia.com/gpu': '1' }) };
    const zone = { 'topology.kubernetes.io/zone': `zone-${index % 3}` };
    return {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, labels: { 'kubernetes.io/hostname': name, ...zone, ...(gpu && { 'nvidia.com/gpu.present': 'true' }) } },
      spec: gpu ? { taints: [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }] } : {},
      status: { capacity: amounts, allocatable: amounts, conditions: [{ type: 'Ready', status: 'True' }] },
    };
  });
}

/** As many as the claims of the platform: NATS, dataset, trials. */
function volumes(): readonly object[] {
  const sizes = [...Array.from({ length: 3 }, () => ['10Gi', 'ReadWriteOnce']), ['2Gi', 'ReadWriteMany'], ['50Gi', 'ReadWriteMany']];
  return sizes.map(([storage, accessMode], index) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: `volume-${index}` },
    spec: { capacity: { storage }, accessModes: [accessMode], hostPath: { path: `/volumes/${index}` } },
  }));
}

/** Starts controllers and scheduler; waits until each pod has its node; and asks for one worker more than there are GPUs. */
export async function checkScheduling(plane: ControlPlane, report: Report): Promise<void> {
  const { admin } = plane.kubectl;
  const pods = async (component: string) => {
    const selector = ['--namespace', 'deepdefense', '--selector', `app.kubernetes.io/component=${component}`];
    return (await admin.get<{ readonly items: readonly Pod[] }>('pods', ...selector)).items;
  };
  const nodesOf = async (component: string) => (await pods(component)).flatMap(({ spec }) => spec.nodeName ?? []).sort();
  await plane.startControllers();
  const items = [...nodes(), ...volumes()];
  const made = await admin.send({ apiVersion: 'v1', kind: 'List', items }, 'create', '--filename', '-');
  report.check('five nodes and five volumes are there', made.code === 0 ? '' : made.stderr);
  await plane.startScheduler();
  await report.eventually('each NATS server has a node of its own, without a GPU', async () =>
    differs(await nodesOf('nats'), ['cpu-0', 'cpu-1', 'cpu-2']),
  );
  await report.eventually('each worker has a node with a GPU', async () => differs(await nodesOf('worker'), ['gpu-0', 'gpu-1']));
  await admin.run('scale', 'deployment/deepdefense-workers', '--replicas', '3', '--namespace', 'deepdefense');
  await report.eventually('a worker more than there are GPUs waits', async () => {
    const waiting = (await pods('worker')).filter(({ spec }) => spec.nodeName === undefined);
    const why = waiting.map(({ status }) => status.conditions?.find(({ type }) => type === 'PodScheduled')?.message ?? '').join();
    return waiting.length === 1 && why.includes('Insufficient nvidia.com/gpu') ? '' : `${waiting.length} wait: ${why}`;
  });
}
