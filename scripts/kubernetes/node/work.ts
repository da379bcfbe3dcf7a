/** @file One submission from `submit --follow` to `submit delete`, with pods that are deleted meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlPlane } from '../api-server/control-plane.ts';
import { differs, type Report } from '../api-server/report.ts';
import { logsOf, submit } from '../api-server/submissions.ts';
import { podsOf } from './platform.ts';

/** Whose pod is deleted: the coordinator that leads, one worker of the pool or of the submission's own, the server of NATS. */
type Victim = 'leader' | 'pool worker' | 'own worker' | 'nats';

export interface Work {
  /** Sweep file or training config. */
  readonly file: string;
  readonly options: readonly string[];
  /** What a coordinator says of itself when pods may be deleted. */
  readonly isUnderWay: RegExp;
  readonly spoil: readonly Victim[];
  /** What must come out. */
  readonly hash: { readonly key: string; readonly expected: unknown };
}

const KINDS = 'pods,jobs,statefulsets,services,configmaps,poddisruptionbudgets,persistentvolumeclaims';
const UNDER_WAY_MS = 300_000;

export async function carryThrough(plane: ControlPlane, { file, options, isUnderWay, spoil, hash }: Work, report: Report): Promise<void> {
  const { admin } = plane.kubectl;
  const started = performance.now();
  const submitted = await submit(plane, 'researcher', '-c', file, ...options);
  const id = submitted.document.id ?? '';
  report.check(`${id} is submitted`, differs(submitted.document.state, 'submitted') && submitted.stdout);
  const followed = submit(plane, 'researcher', '-c', file, ...options, '--follow');
  const leader = async () =>
    (await statusOf(plane, id)).find(({ says = '' }) => isUnderWay.test(says) && !says.includes('standing by'))?.pod;

  const untilMs = performance.now() + UNDER_WAY_MS;
  let pod = await leader();
  while (pod === undefined && performance.now() < untilMs) {
    await sleep(1000);
    pod = await leader();
  }
  report.check('it is under way', pod === undefined ? JSON.stringify(await statusOf(plane, id)) : '');
  const selectors: Readonly<Record<Exclude<Victim, 'leader'>, string>> = {
    'pool worker': 'app.kubernetes.io/instance=pool',
    'own worker': `app.kubernetes.io/instance=${id},app.kubernetes.io/component=worker`,
    nats: 'app.kubernetes.io/component=nats',
  };
  for (const victim of spoil) {
    const name = victim === 'leader' ? await leader() : (await podsOf(admin, selectors[victim]))[0]?.metadata.name;
    // The node of a coordinator is lost; the others are asked to leave.
    const how = victim === 'leader' ? ['--grace-period', '0', '--force'] : ['--wait=false'];
    const { code, stderr } = await admin.run('delete', 'pod', name ?? 'nobody', '--namespace', 'deepdefense', ...how);
    report.check(`the pod of its ${victim} is deleted: ${name}`, code === 0 ? '' : stderr);
    await sleep(3000);
  }
  const { code, stderr, document } = await followed;
  const result = (document as { readonly result?: Record<string, unknown> }).result;
  report.check(`submit --follow ends after ${Math.round((performance.now() - started) / 1000)} s`, code === 0 ? '' : stderr);
  report.check(`${hash.key} is the one without a cluster: ${String(hash.expected)}`, differs(result?.[hash.key], hash.expected));
  console.log(stderr.trim().replaceAll(/^/gm, '          '));

  const again = await submit(plane, 'researcher', 'results', id);
  report.check('submit results says the same', differs((again.document as Record<string, unknown>)[hash.key], hash.expected));
  const status = await statusOf(plane, id);
  report.check(
    `submit status: ${status.map(({ pod: name, says }) => `${name} ${says ?? ''}`).join('; ')}`,
    status.some(({ says }) => says?.startsWith('ready: completed') === true) ? '' : JSON.stringify(status),
  );
  const logs = await logsOf(plane, 'researcher', id);
  const lines = logs.stdout.split('\n').filter((line) => /^\[pod\/.*\] \{.*\}$/.test(line));
  report.check(`submit logs: ${lines.length} lines`, lines.length > 0 ? '' : logs.stderr || logs.stdout);

  await submit(plane, 'researcher', 'delete', id, '--volumes');
  await report.eventually('submit delete --volumes leaves nothing', async () => {
    const left = await admin.run(
      ...['get', KINDS, '--namespace', 'deepdefense', '--selector', `app.kubernetes.io/instance=${id}`, '--output', 'name'],
    );
    return left.stdout.trim();
  });
}

interface PodState {
  readonly pod: string;
  readonly says?: string;
}

async function statusOf(plane: ControlPlane, id: string): Promise<readonly PodState[]> {
  const { document } = await submit(plane, 'researcher', 'status', id);
  return (document as { readonly pods?: readonly PodState[] }).pods ?? [];
}
