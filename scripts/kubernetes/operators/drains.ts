/** @file Nodes are drained while a run and a sweep are under way: who leaves, who holds the drain up, and where they go. */
import type { ControlPlane } from '../api-server/control-plane.ts';
import type { Answer, Kubectl } from '../api-server/kubectl.ts';
import { evict } from '../api-server/pod-events.ts';
import { differs, type Report } from '../api-server/report.ts';
import { RUN, SWEEP, submit } from '../api-server/submissions.ts';

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const POOL = 'app.kubernetes.io/instance=pool';
const NATS = 'app.kubernetes.io/component=nats';

async function pods(admin: Kubectl, selector: string): Promise<readonly Pod[]> {
  return (await admin.get<{ readonly items: readonly Pod[] }>('pods', '--namespace', 'deepdefense', '--selector', selector)).items;
}

function isReady({ status }: Pod): boolean {
  return status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
}

function drain(admin: Kubectl, node: string, seconds: number): Promise<Answer> {
  return admin.run('drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout', `${seconds}s`);
}

/** Waits for a platform with three NATS servers on four nodes or more, each pod ready. */
export async function checkDrains(plane: ControlPlane, report: Report): Promise<void> {
  const { admin } = plane.kubectl;
  for (const [file, id] of [
    [RUN, 'run'],
    [SWEEP, 'sweep'],
  ] as const)
    report.check(
      `${id} is submitted`,
      differs((await submit(plane, 'researcher', '-c', file, '--id', id, '--workers', '4')).document.state, 'submitted'),
    );
  const run = 'app.kubernetes.io/instance=run';
  const sweep = 'app.kubernetes.io/instance=sweep,app.kubernetes.io/component=coordinator';
  const ready = async (selector: string) => (await pods(admin, selector)).filter(isReady).length;
  const all = async () => [await ready(NATS), await ready(POOL), await ready(run), await ready(sweep)];
  const whole = [3, 2, 5, 2];
  await report.eventually(
    'three NATS servers, two workers of the pool, a run with four workers, a sweep with a standby: all ready',
    async () => differs(await all(), whole),
  );
  const nodesOf = async (selector: string) => (await pods(admin, selector)).flatMap(({ spec }) => spec.nodeName ?? []);
  const spread = await nodesOf(sweep);
  report.check('the coordinators of the sweep are on two nodes', differs(new Set(spread).size, 2));

  // The least that is ready while nodes go, looked at all the time.
  const least = { nats: 3, sweep: 2 };
  let watching = true;
  const watch = (async () => {
    while (watching) {
      least.nats = Math.min(least.nats, await ready(NATS));
      least.sweep = Math.min(least.sweep, await ready(sweep));
    }
  })();
  const [first = '', second = ''] = await nodesOf(NATS);
  const leaving = await drain(admin, first, 120);
  report.check(`node ${first}, with a NATS server, is drained`, leaving.code === 0 ? '' : leaving.stderr);
  await report.eventually('everything is ready again, elsewhere', async () => differs(await all(), whole));
  report.check(
    'nothing of ours is left there',
    differs(
      (await nodesOf('app.kubernetes.io/name=deepdefense')).filter((node) => node === first),
      [],
    ),
  );
  const job = await admin.get<{ readonly status: { readonly failed?: number } }>('job', 'run-workers', '--namespace', 'deepdefense');
  report.check('no worker counts as failed', differs(job.status.failed ?? 0, 0));

  // With no node left that could take it, NATS has to stay.
  const others = (await admin.get<{ readonly items: readonly { readonly metadata: { readonly name: string } }[] }>('nodes')).items.map(
    ({ metadata }) => metadata.name,
  );
  const servers = new Set(await nodesOf(NATS));
  const spare = others.filter((node) => !servers.has(node));
  await admin.run('cordon', ...spare);
  const next = second === first ? ([...servers][0] ?? '') : second;
  const moved = await drain(admin, next, 120);
  report.check(`node ${next} is drained, and its NATS server finds no other`, moved.code === 0 ? '' : moved.stderr);
  const last = [...servers].find((node) => node !== next) ?? '';
  const held = await drain(admin, last, 20);
  report.check(
    `node ${last} can't be drained while that server is away`,
    held.code !== 0 && held.stderr.includes('disruption budget') ? '' : held.stderr || 'it was',
  );
  report.check('two servers are there', differs(await ready(NATS), 2));
  await admin.run('uncordon', ...spare);
  const then = await drain(admin, last, 180);
  report.check('when a node takes it, it can', then.code === 0 ? '' : then.stderr);
  await admin.run('uncordon', ...others);
  await report.eventually('everything is ready again', async () => differs(await all(), whole));
  watching = false;
  await watch;
  report.check('at no time were fewer than two NATS servers ready', differs(least.nats, 2));
  report.check('nor was the sweep without a coordinator', least.sweep >= 1 ? '' : 'it was');
}

/** A run's worker that has to leave again and again: Kubernetes waits longer each time, although it counts none of it as a failure. */
export async function checkReturns({ kubectl: { admin } }: ControlPlane, report: Report): Promise<void> {
  const worker = async () => {
    const found = await pods(admin, 'job-name=run-workers,batch.kubernetes.io/job-completion-index=0');
    return found.filter(isReady).at(0)?.metadata.name;
  };
  const seconds: number[] = [];
  for (let i = 0; i < 3; i++) {
    const name = (await worker()) ?? '';
    const refused = await evict(admin, name);
    if (refused !== '') throw new Error(refused);
    const since = performance.now();
    await report.eventually(`a worker that left ${i + 1} times is back`, async () => {
      const now = await worker();
      return now !== undefined && now !== name ? '' : 'it is not there';
    });
    seconds.push(Math.round((performance.now() - since) / 1000));
  }
  const [first = 0, second = 0, third = 0] = seconds;
  report.check(
    `it was back after ${seconds.join(', ')} s`,
    first >= 10 && second >= 20 && third >= 40 ? '' : 'expected 10, 20 and 40 or more',
  );
}

/** A node that goes without notice, as spot nodes do: its entry is deleted, by hand or by the cloud. */
export async function checkLostNode({ kubectl: { admin } }: ControlPlane, report: Report): Promise<void> {
  const all = () => pods(admin, 'app.kubernetes.io/name=deepdefense');
  const before = await all();
  const load = (node: string) => before.filter(({ spec }) => spec.nodeName === node).length;
  const [node = ''] = (await pods(admin, NATS)).flatMap(({ spec }) => spec.nodeName ?? []).sort((a, b) => load(b) - load(a));
  const lost = new Set(before.filter(({ spec }) => spec.nodeName === node).map(({ metadata }) => metadata.uid));
  const { code, stderr } = await admin.run('delete', 'node', node);
  report.check(`node ${node} is gone, with ${lost.size} pods`, code === 0 ? '' : stderr);
  const since = performance.now();
  await report.eventually('all of them are back elsewhere', async () => {
    const now = await all();
    return differs([now.filter(({ metadata }) => lost.has(metadata.uid)).length, now.filter(isReady).length], [0, before.length]);
  });
  console.log(`          after ${Math.round((performance.now() - since) / 1000)} s`);
}
