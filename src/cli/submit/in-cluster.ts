/** @file What is in the cluster of a sweep or run: whether its name is free, how far it is, what came out. */
import { exitOf, type Kubectl } from './kubectl.ts';
import { DeepDefenseError } from '../../core/index.ts';
import { CONFIG_SUFFIX } from './coordinator-objects.ts';
import { INSTANCE_LABEL, KIND_ANNOTATION, QUEUE_LABEL, SHA256_ANNOTATION } from './kubernetes-object.ts';
import { checkObjectName, HTTP_PORT, type Submission } from './submission.ts';

/** As far as it is read. */
interface FoundObject {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly generation?: number;
  };
  readonly spec?: { readonly parallelism?: number; readonly suspend?: boolean };
}

/** An object of a submission that another submission of the same file may change. */
export interface ObjectThere {
  readonly kind: string;
  readonly name: string;
  /** Counts the changes of what is asked of it. */
  readonly generation: number;
  /** Pods at a time, of a Job. */
  readonly parallelism?: number;
  /** Of a Job: whether it waits in a queue. */
  readonly suspend?: boolean;
}

interface FoundPod extends FoundObject {
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly containerStatuses?: readonly {
      readonly ready: boolean;
      readonly restartCount: number;
      readonly state?: Readonly<Record<string, { readonly reason?: string; readonly exitCode?: number }>>;
    }[];
  };
}

/** A pod, as far as people ask for it. */
export interface PodState {
  readonly pod: string;
  readonly component: string;
  /** As `kubectl get pods` shows it: Running, Pending, CrashLoopBackOff, Error, Completed... */
  readonly state: string;
  readonly ready: boolean;
  readonly restarts: number;
  /** What a coordinator says of itself, for example `ready: at work, 12 measurements, 5 of 40 candidates`. */
  readonly says?: string;
  /** Why a coordinator that runs says nothing. */
  readonly silence?: string;
}

interface FoundJob extends FoundObject {
  readonly status?: {
    readonly ready?: number;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
}

/** A run's or sweep's own workers, as their Job has them. */
export interface WorkersState {
  /** Pods at a time. */
  readonly asked: number;
  readonly ready: number;
  /** `queued`: the Job is suspended, and has no pods. */
  readonly state: 'queued' | 'active' | 'done' | 'failed';
  /** LocalQueue of Kueue, where one has it. */
  readonly queue?: string;
  /** Why the Job has failed. */
  readonly reason?: string;
}

/** What the HTTP port of a pod answers, or why it doesn't. */
type Answer = { readonly status: number; readonly text: string } | { readonly silence: string };

const ANSWER_MS = 10_000;
const FORWARD_MS = 20_000;
const LONGEST_REASON = 200;

export function selectorOfInstance(id: string): string {
  return `app.kubernetes.io/name=deepdefense,${INSTANCE_LABEL}=${id}`;
}

/**
 * Looks who has the name.
 * @returns true when this very submission is there already
 * @throws DeepDefenseError NAME_TAKEN when something else has the name, CLUSTER_FAILED
 */
export async function isThere(kubectl: Kubectl, { id, sha256 }: Submission): Promise<boolean> {
  const config = await kubectl.find<FoundObject>('configmap', `${id}${CONFIG_SUFFIX}`);
  const set = await kubectl.find<FoundObject>('statefulset', id);
  for (const found of [config, set]) {
    if (found === undefined) continue;
    const other = found.metadata.annotations?.[SHA256_ANNOTATION];
    if (other === sha256) continue;
    throw new DeepDefenseError('NAME_TAKEN', {
      what: `the name "${id}" is taken`,
      expected: `${found.kind} ${found.metadata.name} of a file with the SHA-256 ${sha256.slice(0, 12)}`,
      got: other === undefined ? 'an object that was not submitted' : `one of a file with the SHA-256 ${other.slice(0, 12)}`,
      todo: `give another --id, or remove what is there: deepdefense submit delete ${id}`,
      fields: { id },
    });
  }
  return config !== undefined && set !== undefined;
}

/** What another submission of the same file may change. */
export async function objectsThere(kubectl: Kubectl, id: string): Promise<readonly ObjectThere[]> {
  const objects = await kubectl.list<FoundObject>(['statefulset', 'job', 'poddisruptionbudget'], selectorOfInstance(id));
  return objects.map(({ kind, metadata: { name, generation = 0 }, spec }) => ({
    kind,
    name,
    generation,
    ...(spec?.parallelism !== undefined && { parallelism: spec.parallelism }),
    ...(spec?.suspend !== undefined && { suspend: spec.suspend }),
  }));
}

/** @throws DeepDefenseError CHECKPOINT_MISSING when nothing of this name was submitted */
export async function kindOf(kubectl: Kubectl, id: string): Promise<Submission['kind']> {
  const kind = await findKind(kubectl, id);
  if (kind === undefined) throw notSubmitted(id);
  return kind;
}

/** @returns undefined when nothing of this name was submitted, or it was deleted */
export async function findKind(kubectl: Kubectl, id: string): Promise<Submission['kind'] | undefined> {
  checkObjectName(id);
  const config = await kubectl.find<FoundObject>('configmap', `${id}${CONFIG_SUFFIX}`);
  const kind = config?.metadata.annotations?.[KIND_ANNOTATION];
  return kind === 'sweep' || kind === 'run' ? kind : undefined;
}

export function notSubmitted(id: string): DeepDefenseError {
  return new DeepDefenseError('CHECKPOINT_MISSING', {
    what: `nothing of the name "${id}" was submitted to this namespace`,
    todo: 'look with: deepdefense submit status',
    fields: { id },
  });
}

/** Names of all that was submitted, with their kinds. */
export async function submitted(kubectl: Kubectl): Promise<readonly { readonly id: string; readonly kind: string }[]> {
  const sets = await kubectl.list<FoundObject>(
    ['statefulset'],
    'app.kubernetes.io/name=deepdefense,app.kubernetes.io/component=coordinator',
  );
  return sets.map(({ metadata: { name, annotations = {} } }) => ({ id: name, kind: annotations[KIND_ANNOTATION] ?? '' }));
}

/** The pods, and what the coordinators among them say. */
export async function podStates(kubectl: Kubectl, id: string): Promise<readonly PodState[]> {
  const pods = await kubectl.list<FoundPod>(['pod'], selectorOfInstance(id));
  return Promise.all(
    pods.map(async (pod) => {
      const container = pod.status?.containerStatuses?.[0];
      const component = pod.metadata.labels?.['app.kubernetes.io/component'] ?? '';
      const isRunning = container?.state?.running !== undefined;
      const answer = component === 'coordinator' && isRunning ? await ask(kubectl, pod.metadata.name, '/readyz') : undefined;
      return {
        pod: pod.metadata.name,
        component,
        state: stateOf(pod),
        ready: container?.ready === true,
        restarts: container?.restartCount ?? 0,
        ...(answer !== undefined && ('silence' in answer ? answer : { says: answer.text.trim() })),
      };
    }),
  );
}

/** @returns undefined where it has none of its own: a sweep may leave all to the pool. @throws DeepDefenseError CLUSTER_FAILED */
export async function workersState(kubectl: Kubectl, id: string): Promise<WorkersState | undefined> {
  const [job] = await kubectl.list<FoundJob>(['job'], selectorOfInstance(id));
  if (job === undefined) return undefined;
  const condition = (type: string) => job.status?.conditions?.find((each) => each.type === type && each.status === 'True');
  const failed = condition('Failed');
  const done = condition('Complete');
  const queue = job.metadata.labels?.[QUEUE_LABEL];
  return {
    asked: job.spec?.parallelism ?? 0,
    ready: job.status?.ready ?? 0,
    state: failed !== undefined ? 'failed' : done !== undefined ? 'done' : job.spec?.suspend === true ? 'queued' : 'active',
    ...(queue !== undefined && { queue }),
    ...(failed !== undefined && { reason: [failed.reason, failed.message].filter(Boolean).join(': ') }),
  };
}

/** @returns the result of a sweep or run that is over; undefined before. @throws DeepDefenseError CLUSTER_FAILED */
export async function resultOf(kubectl: Kubectl, id: string): Promise<unknown> {
  const pods = await kubectl.list<FoundPod>(['pod'], `${selectorOfInstance(id)},app.kubernetes.io/component=coordinator`);
  for (const { metadata, status } of pods) {
    if (status?.containerStatuses?.[0]?.state?.running === undefined) continue;
    const answer = await ask(kubectl, metadata.name, '/result');
    if ('status' in answer && answer.status === 200) return JSON.parse(answer.text) as unknown;
  }
  return undefined;
}

/** A GET of the HTTP port of a pod, by port-forward, which needs no way through the cluster's network policies. */
async function ask(kubectl: Kubectl, pod: string, path: string): Promise<Answer> {
  const child = kubectl.start(['port-forward', `pod/${pod}`, `:${HTTP_PORT}`]);
  let complaints = '';
  child.stderr?.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  const ended = exitOf(child);
  try {
    const port = await Promise.race([
      new Promise<string>((resolve) => {
        child.stdout?.on('data', (chunk: Buffer) => {
          const match = /127\.0\.0\.1:(\d+) ->/.exec(chunk.toString());
          if (match?.[1] !== undefined) resolve(match[1]);
        });
      }),
      ended.then(() => undefined),
      new Promise<undefined>((resolve) => setTimeout(resolve, FORWARD_MS, undefined).unref()),
    ]);
    if (port === undefined) return { silence: reasonOf(complaints) ?? `no port after ${FORWARD_MS / 1000} s` };
    const answered = get(`http://127.0.0.1:${port}${path}`);
    // A request whose connection closes early goes on waiting; nothing would be left then that keeps this process running.
    const answer = await Promise.race([answered, ended.then(() => undefined)]);
    answered.catch(() => {});
    return answer ?? { silence: reasonOf(complaints) ?? 'kubectl port-forward ended' };
  } catch (error) {
    // The pod has just gone, or doesn't listen yet.
    if (error instanceof TypeError || (error instanceof DOMException && error.name === 'TimeoutError')) {
      const { cause } = error;
      return { silence: reasonOf(complaints) ?? (cause instanceof Error ? cause.message : error.message) };
    }
    throw error;
  } finally {
    child.kill();
    await ended.catch(() => {});
  }
}

async function get(url: string): Promise<Answer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
  return { status: response.status, text: await response.text() };
}

/** What kubectl's port-forward complains of, in a line; undefined when it doesn't. */
function reasonOf(complaints: string): string | undefined {
  if (complaints.includes('connection refused')) return `nothing listens on port ${HTTP_PORT} yet`;
  const line = complaints.trim().split('\n').at(-1) ?? '';
  return line === '' ? undefined : `kubectl port-forward: ${line.slice(0, LONGEST_REASON)}`;
}

function stateOf({ metadata, status }: FoundPod): string {
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  const { waiting, terminated } = status?.containerStatuses?.[0]?.state ?? {};
  if (waiting?.reason !== undefined) return waiting.reason;
  if (terminated !== undefined) return `${terminated.reason ?? 'Terminated'}, exit code ${terminated.exitCode ?? '?'}`;
  return status?.reason ?? status?.phase ?? 'Unknown';
}
