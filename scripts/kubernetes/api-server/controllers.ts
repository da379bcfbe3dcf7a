/** @file What the controllers make of workloads and disruption budgets. The pods' states are written here, in place of a kubelet. */
import type { Manifest } from '../../../test/support/k8s/manifest.ts';
import type { ControlPlane } from './control-plane.ts';
import type { Kubectl } from './kubectl.ts';
import { evict, type Pod, setPodStatus } from './pod-events.ts';
import { differs, type Report } from './report.ts';
import { submit } from './submissions.ts';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

interface Status {
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly readyReplicas?: number;
    readonly active?: number;
    readonly failed?: number;
    readonly expectedPods?: number;
    readonly disruptionsAllowed?: number;
  };
}

const INDEX = 'batch.kubernetes.io/job-completion-index';

/** Waits for the pods of the platform of the overlay `kind`, and of what was submitted: a sweep, and a run with four workers. */
export async function checkControllers(
  plane: ControlPlane,
  { sweep, run }: { readonly sweep: string; readonly run: string },
  report: Report,
) {
  const { admin } = plane.kubectl;
  const expected = { 'nats-N': 1, 'pool worker': 2, [`${sweep}-N`]: 2, [`${run}-N`]: 1, [`${run}-workers`]: 4 };
  await report.eventually('StatefulSets, Deployment and Job have made their pods', async () => {
    const counts: Record<string, number> = Object.fromEntries(Object.keys(expected).map((name) => [name, 0]));
    for (const { metadata } of await pods(admin)) {
      const labels = metadata.labels ?? {};
      const isPool = labels['app.kubernetes.io/instance'] === 'pool';
      const name = isPool ? 'pool worker' : (labels['job-name'] ?? metadata.name.replace(/-\d+$/, '-N'));
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return differs(counts, expected);
  });
  const claims = await admin.get<{ readonly items: readonly Manifest[] }>('persistentvolumeclaims', '--namespace', 'deepdefense');
  const volumes = ['data-nats-0', 'deepdefense-data', 'deepdefense-trials', `runs-${run}-0`, `runs-${sweep}-0`, `runs-${sweep}-1`];
  report.check(
    'StatefulSets have made their volume claims',
    differs(
      claims.items.map(({ metadata }) => metadata.name),
      volumes.sort(),
    ),
  );
  const warnings = await admin.run(
    'get',
    'events',
    '--namespace',
    'deepdefense',
    '--field-selector',
    'reason=FailedCreate',
    '--output',
    'name',
  );
  report.check('no pod was refused', warnings.stdout.trim());

  await checkBudgets(admin, { sweep, run }, report);
  await checkFailures(admin, run, report);
  await checkRemoval(plane, { sweep, run }, report);
}

/** Budgets know their pods, and let one leave at a time. */
async function checkBudgets(
  admin: Kubectl,
  { sweep, run }: { readonly sweep: string; readonly run: string },
  report: Report,
): Promise<void> {
  for (const pod of await pods(admin)) await setPodStatus(admin, pod, 'Running');
  const budgets = { nats: [1, 1], 'deepdefense-workers': [2, 1], [sweep]: [2, 1], [run]: [1, 1], [`${run}-workers`]: [4, 1] };
  for (const [name, [expectedPods, allowed]] of Object.entries(budgets))
    await report.eventually(`disruption budget ${name}: ${expectedPods} pods, ${allowed} may leave`, async () => {
      const { status = {} } = await admin.get<Status>('poddisruptionbudget', name, '--namespace', 'deepdefense');
      return differs(
        [status.expectedPods, status.disruptionsAllowed, reasonOf(status.conditions)],
        [expectedPods, allowed, 'SufficientPods'],
      );
    });
  await report.eventually(`StatefulSet ${sweep} has two that are ready`, async () => {
    const { status } = await admin.get<Status>('statefulset', sweep, '--namespace', 'deepdefense');
    return differs(status?.readyReplicas, 2);
  });
  for (const names of [[`${sweep}-0`, `${sweep}-1`], await podsOfJob(admin, run)]) {
    const [first = '', second = ''] = names;
    report.check(`${first} may be evicted`, await evict(admin, first));
    const refusal = await evict(admin, second);
    report.check(`${second} may not, at the same time`, refusal.includes('disruption budget') ? '' : refusal || 'it was');
  }
  // The rule that the platform and `submit` keep: a budget over pods of a Job must be a number that stays.
  await admin.send(
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'wrong', namespace: 'deepdefense' },
      spec: { maxUnavailable: 1, selector: { matchLabels: { 'job-name': `${run}-workers` } } },
    },
    ...['create', '--filename', '-'],
  );
  await report.eventually('a budget with maxUnavailable over the pods of a Job is of no use', async () => {
    const { status } = await admin.get<Status>('poddisruptionbudget', 'wrong', '--namespace', 'deepdefense');
    return differs(reasonOf(status?.conditions), 'SyncFailed');
  });
  await admin.run('delete', 'poddisruptionbudget', 'wrong', '--namespace', 'deepdefense');
}

/** The exit codes of a worker, as the Job's podFailurePolicy takes them. */
async function checkFailures(admin: Kubectl, run: string, report: Report): Promise<void> {
  const job = async () => (await admin.get<Status>('job', `${run}-workers`, '--namespace', 'deepdefense')).status;
  const fail = async (index: string, exitCode: number): Promise<string> => {
    const pod = (await pods(admin, `job-name=${run}-workers`)).find(({ metadata }) => metadata.annotations?.[INDEX] === index);
    if (pod === undefined) throw new Error(`no pod of index ${index}`);
    await setPodStatus(admin, pod, 'Failed', exitCode);
    return pod.metadata.name;
  };
  await report.eventually('the evicted worker is replaced', async () => differs((await podsOfJob(admin, run)).length, 4));
  const ended = await fail('2', 143);
  await report.eventually('a worker that ended with 143 is replaced and not counted', async () => {
    const others = (await pods(admin, `job-name=${run}-workers`)).filter(
      ({ metadata }) => metadata.annotations?.[INDEX] === '2' && metadata.name !== ended,
    );
    return differs([others.length, (await job())?.failed ?? 0], [1, 0]);
  });
  await fail('3', 3);
  await report.eventually('a worker that ended with 3 (config) fails the Job', async () => {
    const failed = (await job())?.conditions?.find(({ type, status }) => type === 'Failed' && status === 'True');
    return differs(failed?.reason, 'PodFailurePolicy');
  });
}

/** The pods of what is removed go as well; its volumes go on wish. */
async function checkRemoval(
  plane: ControlPlane,
  { sweep, run }: { readonly sweep: string; readonly run: string },
  report: Report,
): Promise<void> {
  const { admin } = plane.kubectl;
  await submit(plane, 'researcher', 'delete', sweep);
  await submit(plane, 'researcher', 'delete', run, '--volumes');
  await report.eventually('delete: their pods go, and the volumes of the one for which it was asked', async () => {
    const left = await admin.get<{ readonly items: readonly Manifest[] }>(
      ...['pods,persistentvolumeclaims', '--namespace', 'deepdefense', '--selector', `app.kubernetes.io/instance in (${sweep},${run})`],
    );
    return differs(
      left.items.map(({ metadata }) => metadata.name),
      [`runs-${sweep}-0`, `runs-${sweep}-1`],
    );
  });
  const later = await submit(plane, 'researcher', 'delete', sweep, '--volumes');
  report.check('delete --volumes: later, of the volumes that were left', differs(later.document.removed?.length, 2));
}

async function pods(admin: Kubectl, selector = 'app.kubernetes.io/name=deepdefense'): Promise<readonly Pod[]> {
  return (await admin.get<{ readonly items: readonly Pod[] }>('pods', '--namespace', 'deepdefense', '--selector', selector)).items;
}

async function podsOfJob(admin: Kubectl, run: string): Promise<readonly string[]> {
  return (await pods(admin, `job-name=${run}-workers`)).map(({ metadata }) => metadata.name);
}

function reasonOf(conditions: readonly Condition[] = []): string | undefined {
  return conditions.find(({ type }) => type === 'DisruptionAllowed')?.reason;
}
