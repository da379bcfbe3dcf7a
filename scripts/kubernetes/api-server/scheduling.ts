/** @file Where the scheduler puts the pods of the overlay `gpu`. Three nodes have no GPU, two have one each. */
import type { ControlPlane } from './control-plane.ts';
import { node, platformVolumes } from './machines.ts';
import { differs, type Report } from './report.ts';

interface Pod {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly message?: string }[] };
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
  const nodes = ['cpu-0', 'cpu-1', 'cpu-2', 'gpu-0', 'gpu-1'].map((name, index) => node(name, index, name.startsWith('gpu') ? 1 : 0));
  const items = [...nodes, ...platformVolumes()];
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
