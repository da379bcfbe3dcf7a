/** @file What the `submit` commands do: from options to the printed result. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunResult } from '../../coordinator/index.ts';
import { DeepDefenseError, errorCodeOr, PACKAGE_VERSION, writeFileAtomic } from '../../core/index.ts';
import type { SweepRecord } from '../../sweeps/index.ts';
import type { CommandTools } from '../command-definition.ts';
import type { CommandContext } from '../context.ts';
import { applyObjects, type ObjectChange } from './apply-objects.ts';
import {
  findKind,
  isThere,
  kindOf,
  notSubmitted,
  type ObjectThere,
  objectsThere,
  type PodState,
  podStates,
  resultOf,
  selectorOfInstance,
  submitted,
  type WorkersState,
  workersState,
} from './in-cluster.ts';
import { exitOf, Kubectl } from './kubectl.ts';
import type { KubernetesObject, Placement, Priority } from './kubernetes-object.ts';
import { renderSubmission, toYaml } from './render.ts';
import { loadSubmission, type Submission } from './submission.ts';

/** Which cluster. */
export interface ClusterOptions {
  readonly namespace: string;
  readonly kubeContext?: string;
}

export interface SubmitOptions extends ClusterOptions {
  readonly config: string;
  readonly set: readonly string[];
  readonly id?: string;
  readonly workers?: number | undefined;
  readonly workerImage?: string;
  readonly coordinatorImage: string;
  readonly gpus: number;
  readonly cpu: string;
  readonly memory: string;
  readonly storage: string;
  readonly priority?: Priority;
  readonly queue?: string;
  readonly natsService?: string;
  readonly dryRun: boolean;
  readonly output?: string;
  readonly follow: boolean;
}

export const COORDINATOR_IMAGE = `deepdefense/coordinator:${PACKAGE_VERSION}`;
const CPU_IMAGE = `deepdefense/worker-cpu:${PACKAGE_VERSION}`;
const CUDA_IMAGE = `deepdefense/worker-cuda:${PACKAGE_VERSION}`;
const FOLLOW_MS = 5_000;

/** Checks the file here, and hands its objects to the cluster. */
export async function runSubmit(options: SubmitOptions, { context }: CommandTools): Promise<void> {
  const surroundings = context();
  const submission = await loadSubmission(options);
  const { id, kind } = submission;
  const plainText = surroundings.global.insecure === true;
  const render = (job?: ObjectThere) => {
    const workers = options.workers ?? job?.parallelism;
    return renderSubmission(submission, { ...placementOf({ ...options, workers }, submission, plainText), suspend: job?.suspend ?? true });
  };
  const asked = render();
  if (options.dryRun) {
    if (options.output !== undefined) await writeFileAtomic(options.output, toYaml(asked));
    const text = options.output === undefined ? toYaml(asked) : `${asked.length} objects in ${options.output}; nothing was sent`;
    surroundings.result({ ...describe(submission, options, asked), state: 'rendered', manifests: asked }, text);
    return;
  }
  const kubectl = kubectlOf(options);
  const before = (await isThere(kubectl, submission)) ? await objectsThere(kubectl, id) : undefined;
  // Who looks at what is there with --follow need not know how many workers it has; and whether they wait is the queue's to say.
  const objects = render(before?.find(({ kind: of }) => of === 'Job'));
  if (options.output !== undefined) await writeFileAtomic(options.output, toYaml(objects));
  const changes = await applyObjects(kubectl, id, objects, before);
  const state = before === undefined ? 'submitted' : changes.length === 0 ? 'unchanged' : 'changed';
  const document = { ...describe(submission, options, objects), state, ...(state === 'changed' && { changes }) };
  const text = `${kind} ${id} ${STATES[state]}${changes.map(describeChange).join(', ')}`;
  if (options.follow) {
    surroundings.notice(text);
    const result = await follow(kubectl, submission, surroundings);
    surroundings.result({ ...document, result }, await describeResult(result));
    return;
  }
  surroundings.result(document, [text, ...nextSteps(id)].join('\n'));
}

/** One submission with its pods, or the names of all. */
export async function runSubmitStatus(id: string | undefined, options: ClusterOptions, { context }: CommandTools): Promise<void> {
  const kubectl = kubectlOf(options);
  if (id === undefined) {
    const all = await submitted(kubectl);
    context().result(
      { submitted: all },
      all.length === 0 ? 'nothing is submitted' : all.map((each) => `${each.id}  ${each.kind}`).join('\n'),
    );
    return;
  }
  const kind = await kindOf(kubectl, id);
  const [workers, pods] = [await workersState(kubectl, id), await podStates(kubectl, id)];
  const lines = [`${kind} ${id}`, ...(workers === undefined ? [] : [describeWorkers(workers)]), ...pods.map(describePod)];
  context().result({ id, kind, ...(workers !== undefined && { workers }), pods }, lines.join('\n'));
}

export async function runSubmitResults(id: string, options: ClusterOptions, { context }: CommandTools): Promise<void> {
  const kubectl = kubectlOf(options);
  await kindOf(kubectl, id);
  const result = await resultOf(kubectl, id);
  if (result === undefined)
    throw new DeepDefenseError('CHECKPOINT_MISSING', {
      what: `"${id}" has no result yet, or none of its coordinators answers`,
      got: (await podStates(kubectl, id)).map((pod) => describePod(pod).trim()).join('; ') || 'no pods',
      todo: `look with: deepdefense submit status ${id}`,
      fields: { id },
    });
  context().result(result, await describeResult(result));
}

export async function runSubmitLogs(
  id: string,
  options: ClusterOptions & { readonly follow: boolean },
  { setExitCode }: CommandTools,
): Promise<void> {
  const kubectl = kubectlOf(options);
  await kindOf(kubectl, id);
  const flags = ['--prefix', '--tail=-1', '--max-log-requests=100', ...(options.follow ? ['--follow'] : [])];
  const child = kubectl.start(['logs', '--selector', selectorOfInstance(id), ...flags]);
  child.stdout?.pipe(process.stdout);
  child.stderr?.pipe(process.stderr);
  setExitCode(await exitOf(child));
}

/** Removes a sweep or run, or the volumes that are left of one that was removed without them. */
export async function runSubmitDelete(
  id: string,
  options: ClusterOptions & { readonly volumes: boolean },
  { context }: CommandTools,
): Promise<void> {
  const kubectl = kubectlOf(options);
  const kind = await findKind(kubectl, id);
  if (kind === undefined && !options.volumes) throw notSubmitted(id);
  const volumes = options.volumes ? ['persistentvolumeclaim'] : [];
  // The ConfigMap last: it holds the name while the others are there. Where it is gone they are, too, but for volumes.
  const kinds = kind === undefined ? volumes : ['job', 'statefulset', 'poddisruptionbudget', 'service', ...volumes, 'configmap'];
  const removed: string[] = [];
  for (const each of kinds) {
    const said = await kubectl.run(['delete', each, '--selector', selectorOfInstance(id), '--output', 'name', '--wait=false']);
    removed.push(...said.split('\n').filter((line) => line !== ''));
  }
  if (kind === undefined) {
    if (removed.length === 0) throw notSubmitted(id);
    context().result({ id, removed }, `removed ${removed.length} volumes that were left of ${id}`);
    return;
  }
  const kept = options.volumes ? '' : '; the volumes with its folders are kept (--volumes removes them, later as well)';
  context().result({ id, kind, removed }, `removed ${removed.length} objects of ${kind} ${id}${kept}`);
}

function placementOf(options: SubmitOptions, submission: Submission, plainText: boolean): Omit<Placement, 'suspend'> {
  const { namespace, coordinatorImage, gpus, cpu, memory, storage, priority, queue } = options;
  const { workers = submission.minWorkers, workerImage = gpus > 0 ? CUDA_IMAGE : CPU_IMAGE } = options;
  const nats = options.natsService ?? `${plainText ? 'nats' : 'tls'}://nats.${namespace}.svc:4222`;
  return { namespace, coordinatorImage, workerImage, workers, gpus, cpu, memory, storage, priority, queue, nats, plainText };
}

/**
 * Says what its coordinators say, and how its workers are, until there is a result.
 * @throws the error that a run ended with; DeepDefenseError WORKERS_LOST when the Job of a run's workers has failed; a sweep has those of
 * the pool besides
 */
async function follow(kubectl: Kubectl, { id, kind }: Submission, surroundings: CommandContext): Promise<unknown> {
  const said = new Map<string, string>();
  let failedBefore = false;
  const say = (of: string, line: string) => {
    if (said.get(of) !== line) surroundings.notice(line);
    said.set(of, line);
  };
  for (;;) {
    const workers = await workersState(kubectl, id);
    if (workers !== undefined) say('workers', describeWorkers(workers));
    for (const pod of await podStates(kubectl, id)) {
      say(pod.pod, describePod(pod));
      const [, code, what] = /^not ready: failed, ([A-Z_]+): (.*)$/s.exec(pod.says ?? '') ?? [];
      if (code !== undefined) throw new DeepDefenseError(errorCodeOr(code, 'INTERNAL'), { what: what ?? '', fields: { id } });
    }
    const result = await resultOf(kubectl, id);
    if (result !== undefined) return result;
    const hasFailed = kind === 'run' && workers?.state === 'failed';
    // At the second look: a result may be there, and its coordinator just not have answered.
    if (hasFailed && failedBefore)
      throw new DeepDefenseError('WORKERS_LOST', {
        what: `the workers of "${id}" have failed, and Kubernetes starts no others`,
        got: workers.reason ?? 'no reason was given',
        todo: `look with: deepdefense submit logs ${id}; then remove it (deepdefense submit delete ${id}) and submit it again`,
        fields: { id },
      });
    failedBefore = hasFailed;
    await sleep(FOLLOW_MS);
  }
}

function kubectlOf({ namespace, kubeContext }: ClusterOptions): Kubectl {
  return new Kubectl({ namespace, context: kubeContext });
}

function describe({ id, kind, sha256 }: Submission, { namespace }: ClusterOptions, objects: readonly KubernetesObject[]): object {
  return {
    id,
    kind,
    namespace,
    configSha256: sha256,
    objects: objects.map(({ kind: of, metadata: { name } }) => ({ kind: of, name })),
  };
}

const STATES = { submitted: 'submitted', unchanged: 'was there already', changed: 'changed: ' } as const;

function describeChange({ kind, name, change, workers }: ObjectChange): string {
  return `${kind} ${name} ${change}${workers === undefined ? '' : ` from ${workers.before} to ${workers.now} workers`}`;
}

function describePod({ pod, state, ready, restarts, says, silence }: PodState): string {
  const words = says ?? (silence === undefined ? undefined : `no answer (${silence})`);
  return `  ${pod}  ${ready ? state : `${state}, not ready`}${restarts === 0 ? '' : `, ${restarts} restarts`}${words === undefined ? '' : `: ${words}`}`;
}

function describeWorkers({ asked, ready, state, queue, reason }: WorkersState): string {
  const words = {
    queued: `${asked} wait${queue === undefined ? ': their Job is suspended' : ` in the queue "${queue}"`}`,
    active: `${ready} of ${asked} ready`,
    done: 'done',
    failed: `failed: ${reason}`,
  };
  return `  workers  ${words[state]}`;
}

function nextSteps(id: string): readonly string[] {
  return [
    `watch it: deepdefense submit status ${id}`,
    `its logs: deepdefense submit logs ${id} --follow`,
    `what came out: deepdefense submit results ${id}`,
  ];
}

/** A sweep's record or a run's result, as its coordinator serves it. */
async function describeResult(result: unknown): Promise<string> {
  if (isSweepRecord(result)) {
    // Late: charts take a second to load.
    const { formatSweep } = await import('../../reports/index.ts');
    return formatSweep(result, { frontOnly: true });
  }
  const { runId, state, steps, cleanAccuracy, robust, weightsSha256 } = result as RunResult;
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  return [
    `${runId}: ${state} after ${steps} steps`,
    ...(cleanAccuracy === null ? [] : [`clean accuracy ${percent(cleanAccuracy)}`]),
    ...robust.map(({ attack, epsLinf, accuracy, samples }) => `${attack} at ${epsLinf}: ${percent(accuracy)} of ${samples}`),
    `weights ${weightsSha256}`,
  ].join('\n');
}

function isSweepRecord(result: unknown): result is SweepRecord {
  return typeof result === 'object' && result !== null && 'sweepId' in result;
}
