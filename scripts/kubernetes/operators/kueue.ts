/** @file Kueue at work: its webhooks and its controller decide which Jobs of `submit --queue`, and which pods of the pool, may start. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../test/integration/support/processes.ts';
import type { ControlPlane } from '../api-server/control-plane.ts';
import type { Kubectl } from '../api-server/kubectl.ts';
import { differs, type Report } from '../api-server/report.ts';
import { RUN, submit } from '../api-server/submissions.ts';
import { answers, applyOperator, environment, mountSecret, replaceValue } from './install.ts';

/** Where it keeps the certificates of its webhooks. */
export const KUEUE = { namespace: 'kueue-system', secret: 'kueue-webhook-server-cert' } as const;

/** As its manifests configure it, but for addresses, and for kinds of Jobs that aren't installed here. */
function configuration(webhooks: number, health: number, certificates: string): object {
  return {
    apiVersion: 'config.kueue.x-k8s.io/v1beta2',
    kind: 'Configuration',
    health: { healthProbeBindAddress: `127.0.0.1:${health}` },
    metrics: { bindAddress: '0' },
    webhook: { host: '127.0.0.1', port: webhooks, certDir: certificates },
    leaderElection: { leaderElect: false },
    integrations: { frameworks: ['batch/job', 'pod', 'deployment', 'statefulset'] },
  };
}

export async function startKueue(plane: ControlPlane): Promise<void> {
  const { programs } = plane;
  const { admin } = plane.kubectl;
  const [webhooks, health] = [await freePort(), await freePort()];
  await applyOperator(admin, 'kueue', webhooks);
  const config = join(programs.folder, 'kueue.json');
  const certificates = join(programs.folder, 'kueue-certificates');
  await writeFile(config, JSON.stringify(configuration(webhooks, health, certificates)));
  const isUp = async () => {
    await mountSecret(admin, KUEUE.namespace, KUEUE.secret, certificates);
    return answers(`http://127.0.0.1:${health}/readyz`);
  };
  // Its server of queue positions would want a certificate of the cluster.
  await programs.start('kueue', ['--config', config, '--feature-gates', 'VisibilityOnDemand=false'], isUp, environment(plane));
}

interface JobStatus {
  readonly spec: { readonly suspend?: boolean; readonly parallelism?: number };
  readonly status?: { readonly active?: number; readonly ready?: number };
}

/** Suspended or not, and how many of its pods are ready. */
async function jobState(admin: Kubectl, id: string): Promise<readonly [string, number]> {
  const { spec, status } = await admin.get<JobStatus>('job', `${id}-workers`, '--namespace', 'deepdefense');
  return [spec.suspend === true ? 'suspended' : 'admitted', status?.ready ?? 0];
}

async function setQuota(admin: Kubectl, cpus: string): Promise<string> {
  const path = '/spec/resourceGroups/0/flavors/0/resources/0/nominalQuota';
  const refusal = await replaceValue(admin, 'clusterqueue', 'deepdefense', path, cpus);
  // Until Kueue knows of it; nothing of the queue would say so.
  await sleep(3000);
  return refusal;
}

/** Waits until the queue takes work. */
export async function checkQueueIsActive(admin: Kubectl, report: Report): Promise<void> {
  for (const queue of ['clusterqueue', 'localqueue'])
    await report.eventually(`${queue} deepdefense is active`, async () => {
      const { status } = await admin.get<{
        readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[] };
      }>(queue, 'deepdefense', '--namespace', 'deepdefense');
      const active = status?.conditions?.find(({ type }) => type === 'Active');
      return active?.status === 'True' ? '' : (active?.message ?? 'it says nothing');
    });
}

/** Runs with workers of their own, of one CPU each, in a queue that has fewer CPUs than they want. */
export async function checkQueuedRuns(plane: ControlPlane, report: Report): Promise<void> {
  const { admin } = plane.kubectl;
  const queued = async (id: string, ...options: readonly string[]) => {
    const { document, stdout } = await submit(plane, 'researcher', '-c', RUN, '--id', id, '--queue', 'deepdefense', ...options);
    return document.state ?? stdout;
  };
  const becomes = (what: string, id: string, state: string, ready: number) =>
    report.eventually(what, async () => differs(await jobState(admin, id), [state, ready]));

  report.check('the queue gets three CPUs', await setQuota(admin, '3'));
  report.check('a run with two workers is submitted', differs(await queued('first', '--workers', '2'), 'submitted'));
  await becomes('Kueue admits it, and its workers run', 'first', 'admitted', 2);
  report.check('submitted again, it goes on', differs(await queued('first', '--workers', '2'), 'unchanged'));
  await becomes('and its workers as well', 'first', 'admitted', 2);

  report.check('a second one is submitted', differs(await queued('second', '--workers', '2'), 'submitted'));
  const held = await heldReason(admin, 'second', report);
  report.check('Kueue says for what it waits', held.includes('insufficient unused quota') ? '' : held);
  report.check('its workers wait', differs(await jobState(admin, 'second'), ['suspended', 0]));
  const { document } = await submit(plane, 'researcher', 'status', 'second');
  report.check(
    'submit status: says that they wait in the queue',
    differs([document.workers?.state, document.workers?.queue], ['queued', 'deepdefense']),
  );

  report.check('one of high priority is submitted', differs(await queued('urgent', '--workers', '2', '--priority', 'high'), 'submitted'));
  await becomes('it is admitted', 'urgent', 'admitted', 2);
  await becomes('and the first one gives way: its workers leave', 'first', 'suspended', 0);
  report.check('the second one waits on', differs(await jobState(admin, 'second'), ['suspended', 0]));
  await submit(plane, 'researcher', 'delete', 'urgent', '--volumes');
  await becomes('when the urgent one is deleted, the first goes on', 'first', 'admitted', 2);

  report.check('the queue gets four CPUs', await setQuota(admin, '4'));
  await becomes('the second one is admitted', 'second', 'admitted', 2);
  report.check('the first one is given a third worker', differs(await queued('first', '--workers', '3'), 'changed'));
  await becomes('for which there is no room, so it waits', 'first', 'suspended', 0);
  await submit(plane, 'researcher', 'delete', 'second', '--volumes');
  await becomes('with the second one gone there is, and three work', 'first', 'admitted', 3);
  await submit(plane, 'researcher', 'delete', 'first', '--volumes');
  await report.eventually('nothing of theirs is left in the queue', async () => {
    const owners = (await workloads(admin)).flatMap(({ metadata }) => metadata.ownerReferences?.map(({ name }) => name) ?? []);
    return differs(
      owners.filter((name) => /^(first|second|urgent)-/.test(name)),
      [],
    );
  });
}

interface Workload {
  readonly metadata: { readonly ownerReferences?: readonly { readonly name: string }[] };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly message: string }[] };
}

async function workloads(admin: Kubectl): Promise<readonly Workload[]> {
  return (await admin.get<{ readonly items: readonly Workload[] }>('workloads', '--namespace', 'deepdefense')).items;
}

/** What the Workload of a Job says of its quota. */
async function heldReason(admin: Kubectl, id: string, report: Report): Promise<string> {
  let message = '';
  await report.eventually('Kueue has looked at it', async () => {
    const workload = (await workloads(admin)).find(({ metadata }) =>
      metadata.ownerReferences?.some(({ name }) => name === `${id}-workers`),
    );
    message = workload?.status?.conditions?.find(({ type }) => type === 'QuotaReserved')?.message ?? '';
    return message === '' ? 'it says nothing of it' : '';
  });
  return message;
}

/** The Deployment of the pool in the queue: its pods are gated until they are admitted. */
export async function checkQueuedPool(plane: ControlPlane, report: Report): Promise<void> {
  const { admin } = plane.kubectl;
  const pool = async () => {
    const selector = ['--namespace', 'deepdefense', '--selector', 'app.kubernetes.io/instance=pool'];
    const { items } = await admin.get<{
      readonly items: readonly {
        readonly spec: { readonly schedulingGates?: readonly { readonly name: string }[] };
        readonly status: { readonly phase: string };
      }[];
    }>('pods', ...selector);
    return items.map(({ spec, status }) => (spec.schedulingGates === undefined ? status.phase : 'gated')).sort();
  };
  await report.eventually('both workers of the pool are admitted, and run', async () => differs(await pool(), ['Running', 'Running']));
  report.check('the queue gets half a CPU, as much as the two ask for', await setQuota(admin, '500m'));
  await admin.run('scale', 'deployment/deepdefense-workers', '--replicas', '3', '--namespace', 'deepdefense');
  await report.eventually('a third one is gated', async () => differs(await pool(), ['Running', 'Running', 'gated']));
  // Every pod is at first.
  await sleep(5000);
  report.check('and stays so', differs(await pool(), ['Running', 'Running', 'gated']));
  report.check('the queue gets three quarters', await setQuota(admin, '750m'));
  await report.eventually('the third one runs', async () => differs(await pool(), ['Running', 'Running', 'Running']));
}
