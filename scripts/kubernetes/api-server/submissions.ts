/** @file `deepdefense submit`, run by somebody of the group that may, against the server. */
import { fileURLToPath } from 'node:url';
import type { ControlPlane, User } from './control-plane.ts';
import { type Answer, runProgram } from './kubectl.ts';
import { differs, type Report } from './report.ts';

const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
export const SWEEP = 'examples/sweep-gfa-weights.yaml';
export const RUN = 'examples/cluster.yaml';

/** As far as the checks read it. */
interface Document {
  readonly id?: string;
  readonly state?: string;
  readonly objects?: readonly unknown[];
  readonly submitted?: readonly { readonly id: string; readonly kind: string }[];
  readonly pods?: readonly { readonly pod: string; readonly state: string }[];
  readonly workers?: { readonly state: string; readonly queue?: string };
  readonly removed?: readonly string[];
  readonly error?: { readonly code: string; readonly what: string; readonly got?: string };
}

export interface Said extends Answer {
  readonly document: Document;
}

/** Runs `deepdefense submit` as a user. */
export async function submit({ kubeconfig }: ControlPlane, user: User, ...args: readonly string[]): Promise<Said> {
  const command = [MAIN, '--json', 'submit', '--kube-context', user, ...args];
  const answer = await runProgram(process.execPath, command, { env: { KUBECONFIG: kubeconfig } });
  return { ...answer, document: JSON.parse(answer.stdout || '{}') as Document };
}

/** Lines, no document. */
export function logsOf({ kubeconfig }: ControlPlane, user: User, id: string): Promise<Answer> {
  return runProgram(process.execPath, [MAIN, 'submit', '--kube-context', user, 'logs', id], { env: { KUBECONFIG: kubeconfig } });
}

/** What went wrong; empty when `state` came out. */
function unlessState({ document, stderr }: Said, state: string): string {
  return document.state === state ? '' : document.error === undefined ? stderr : JSON.stringify(document.error);
}

/** Leaves a sweep and a training run behind. @returns their names */
export async function checkSubmissions(plane: ControlPlane, report: Report): Promise<{ readonly sweep: string; readonly run: string }> {
  const forbidden = await submit(plane, 'outsider', '-c', SWEEP);
  const isForbidden = forbidden.document.error?.code === 'CLUSTER_FAILED' && forbidden.document.error.got?.includes('(Forbidden)') === true;
  report.check('who is not in the group is refused', isForbidden ? '' : forbidden.stdout);

  const first = await submit(plane, 'researcher', '-c', SWEEP);
  report.check(`sweep: ${first.document.objects?.length} objects are made`, unlessState(first, 'submitted'));
  report.check('sweep: the same again is there already', unlessState(await submit(plane, 'researcher', '-c', SWEEP), 'unchanged'));
  const sweep = first.document.id ?? '';
  const taken = await submit(plane, 'researcher', '-c', RUN, '--id', sweep);
  report.check('another file under its name is refused', differs(taken.document.error?.code, 'NAME_TAKEN'));

  const run = await submit(plane, 'researcher', '-c', RUN, '--workers', '4', '--id', 'first');
  report.check(`training: ${run.document.objects?.length} objects are made`, unlessState(run, 'submitted'));
  const generation = async () =>
    (await plane.kubectl.admin.get<{ readonly metadata: { readonly generation: number } }>('statefulset', 'first')).metadata.generation;
  const before = await generation();
  const other = await submit(plane, 'researcher', '-c', RUN, '--workers', '4', '--id', 'first', '--priority', 'high');
  const isRefused = other.document.error?.got?.includes('field is immutable') === true;
  report.check('training: the same file with other options is refused', isRefused ? '' : other.stdout);
  report.check('training: and no part of it is changed', differs(await generation(), before));
  for (const workers of ['5', '4']) {
    const resized = await submit(plane, 'researcher', '-c', RUN, '--workers', workers, '--id', 'first');
    report.check(`training: the same file with ${workers} workers is changed`, unlessState(resized, 'changed'));
  }
  const gpus = ['-c', RUN, '--id', 'with-gpus', '--gpus', '2', '--queue', 'deepdefense', '--priority', 'high'];
  const withGpus = await submit(plane, 'researcher', ...gpus);
  report.check(`training with GPUs in a queue: ${withGpus.document.objects?.length} objects are made`, unlessState(withGpus, 'submitted'));

  await checkRace(plane, report);

  const all = await submit(plane, 'researcher', 'status');
  const names = [
    { id: 'first', kind: 'run' },
    { id: sweep, kind: 'sweep' },
    { id: 'with-gpus', kind: 'run' },
  ];
  report.check('status: names all', differs(all.document.submitted, names));
  const one = await submit(plane, 'researcher', 'status', 'first');
  report.check('status: of one, without pods, because nothing makes any yet', differs(one.document.pods, []));
  const logs = await submit(plane, 'researcher', 'logs', 'first');
  report.check('logs: of no pods', logs.stderr.includes('No resources found') ? '' : logs.stderr);

  const removed = await submit(plane, 'researcher', 'delete', 'with-gpus');
  report.check('delete: all that was made', differs(removed.document.removed?.length, withGpus.document.objects?.length));
  const left = await plane.kubectl.admin.run('get', KINDS, '--selector', 'app.kubernetes.io/instance=with-gpus', '--output', 'name');
  report.check('delete: nothing is left', left.stdout.trim() || left.stderr.replace(/No resources found.*/, '').trim());
  const gone = await submit(plane, 'researcher', 'status', 'with-gpus');
  report.check('status: of what is gone', differs(gone.document.error?.code, 'CHECKPOINT_MISSING'));
  return { sweep, run: 'first' };
}

const KINDS = 'configmaps,services,statefulsets,jobs,poddisruptionbudgets';

/** Two files under one name at the same time: one comes, whole, and the other one is refused. */
async function checkRace(plane: ControlPlane, report: Report): Promise<void> {
  const both = await Promise.all([SWEEP, RUN].map((file) => submit(plane, 'researcher', '-c', file, '--id', 'race')));
  const states = both.map(({ document }) => document.state ?? document.error?.code ?? '?').sort();
  const isRefused = states[1] === 'submitted' && (states[0] === 'CLUSTER_FAILED' || states[0] === 'NAME_TAKEN');
  report.check(`two files under one name at once: ${states.join(' and ')}`, isRefused ? '' : both.map(({ stdout }) => stdout).join('\n'));
  const { items } = await plane.kubectl.admin.get<{
    readonly items: readonly { readonly metadata: { readonly annotations: Record<string, string> } }[];
  }>(KINDS, '--selector', 'app.kubernetes.io/instance=race');
  const files = new Set(items.map(({ metadata }) => metadata.annotations['deepdefense/config-sha256']));
  report.check('all objects of that name are of one file', differs(files.size, 1));
  await submit(plane, 'researcher', 'delete', 'race');
}
