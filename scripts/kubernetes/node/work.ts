/** @file One submission from `submit --follow` to `submit delete`, with pods that are deleted meanwhile. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlPlane } from '../api-server/control-plane.ts';
import { runProgram } from '../api-server/kubectl.ts';
import { differs, type Report } from '../api-server/report.ts';
import { logsOf, submit } from '../api-server/submissions.ts';
import { podsOf } from './platform.ts';

/** Whose pod is deleted: the coordinator that leads, one worker of the pool or of the submission's own, the server of NATS. */
type Victim = 'leader' | 'pool worker' | 'own worker' | 'nats';

export interface Work {
  /** Sweep file or training config. */
  readonly file: string;
  readonly settings: readonly string[];
  /** For `submit` alone. */
  readonly options: readonly string[];
  /** What a coordinator says of itself when pods may be deleted. */
  readonly isUnderWay: RegExp;
  readonly spoil: readonly Victim[];
  /** The same without a cluster. */
  readonly command: readonly string[];
  /** Field of the result that must be the same. */
  readonly hash: string;
}

const KINDS = 'pods,jobs,statefulsets,services,configmaps,poddisruptionbudgets,persistentvolumeclaims';
const UNDER_WAY_MS = 300_000;

/** @returns the hash of the result on this machine alone, undisturbed */
export async function withoutCluster({ file, settings, command: [command = '', ...options], hash }: Work): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'without-cluster-'));
  try {
    const args = [resolve('dist/cli/main.js'), '--json', command, '-c', resolve(file), ...settings, ...options];
    const { code, stdout, stderr } = await runProgram(process.execPath, args, { cwd: folder });
    if (code !== 0) throw new Error(stderr);
    return (JSON.parse(stdout) as Record<string, unknown>)[hash];
  } finally {
    await rm(folder, { recursive: true });
  }
}

export async function carryThrough(
  plane: ControlPlane,
  { file, settings, options, isUnderWay, spoil, hash }: Work,
  expected: unknown,
  report: Report,
): Promise<void> {
  const wanted = ['-c', file, ...settings, ...options];
  const { admin } = plane.kubectl;
  const started = performance.now();
  const submitted = await submit(plane, 'researcher', ...wanted);
  const id = submitted.document.id ?? '';
  report.check(`${id} is submitted`, differs(submitted.document.state, 'submitted'));
  const followed = submit(plane, 'researcher', ...wanted, '--follow');
  const leader = async () => (await statusOf(plane, id)).find(({ says = 'standing by' }) => !says.includes('standing by'));
  const untilMs = performance.now() + UNDER_WAY_MS;
  let found = await leader();
  while (!isUnderWay.test(found?.says ?? '') && performance.now() < untilMs) {
    await sleep(1000);
    found = await leader();
  }
  report.check('it is under way', isUnderWay.test(found?.says ?? '') ? '' : JSON.stringify(await statusOf(plane, id)));
  const selectors: Readonly<Record<Exclude<Victim, 'leader'>, string>> = {
    'pool worker': 'app.kubernetes.io/instance=pool',
    'own worker': `app.kubernetes.io/instance=${id},app.kubernetes.io/component=worker`,
    nats: 'app.kubernetes.io/component=nats',
  };
  for (const victim of spoil) {
    const name = victim === 'leader' ? (await leader())?.pod : (await podsOf(admin, selectors[victim]))[0]?.metadata.name;
    // The node of a coordinator is lost; the others are asked to leave.
    const how = victim === 'leader' ? ['--grace-period', '0', '--force'] : ['--wait=false'];
    const { code, stderr } = await admin.run('delete', 'pod', name ?? 'nobody', '--namespace', 'deepdefense', ...how);
    report.check(`the pod of its ${victim} is deleted: ${name}`, code === 0 ? '' : stderr || `exit code ${code}`);
    await sleep(3000);
  }
  const { code, stderr, document } = await followed;
  const result = (document as { readonly result?: Record<string, unknown> }).result;
  report.check(
    `submit --follow ends after ${Math.round((performance.now() - started) / 1000)} s`,
    code === 0 ? '' : JSON.stringify(document),
  );
  report.check(`${hash} is the one without a cluster: ${String(expected)}`, differs(result?.[hash], expected));
  console.log(stderr.trim().replaceAll(/^/gm, '          '));

  const again = await submit(plane, 'researcher', 'results', id);
  report.check('submit results says the same', differs((again.document as Record<string, unknown>)[hash], expected));
  const status = await statusOf(plane, id);
  report.check(
    `submit status: ${status.map(({ pod: name, says }) => `${name} ${says ?? ''}`).join('; ')}`,
    status.some(({ says }) => says?.startsWith('ready: completed') === true) ? '' : JSON.stringify(status),
  );
  const logs = await logsOf(plane, 'researcher', id);
  const lines = logs.stdout.split('\n').filter((line) => /^\[pod\/.*\] \{.*\}$/.test(line));
  report.check(`submit logs: ${lines.length} lines`, lines.length > 0 ? '' : `nothing; ${logs.stderr}${logs.stdout}`);

  await submit(plane, 'researcher', 'delete', id, '--volumes');
  await report.eventually('submit delete --volumes leaves nothing', async () => {
    const left = await admin.run(
      ...['get', KINDS, '--namespace', 'deepdefense', '--selector', `app.kubernetes.io/instance=${id}`, '--output', 'name'],
    );
    return left.code === 0 ? left.stdout.trim() : left.stderr || `exit code ${left.code}`;
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
