/** @file Objects of Kubernetes as plain data, and what those of one sweep or run have in common. */
import { HTTP_PORT, type Submission } from './submission.ts';

/** As it stands in YAML. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly [section: string]: unknown;
}

export type Component = 'coordinator' | 'worker';
export type Priority = 'low' | 'normal' | 'high';

/** What the caller chooses about the cluster; consequences are in docs/submit.md. */
export interface Placement {
  readonly namespace: string;
  readonly coordinatorImage: string;
  readonly workerImage: string;
  /** Workers that serve this sweep or run alone; 0 = the pool of the namespace. */
  readonly workers: number;
  /** NVIDIA GPUs of each of these. */
  readonly gpus: number;
  /** Processors and memory of each of these, as Kubernetes writes them. */
  readonly cpu: string;
  readonly memory: string;
  /** Of coordinator and workers; default: normal and low. */
  readonly priority: Priority | undefined;
  /** LocalQueue of Kueue that these workers wait in. */
  readonly queue: string | undefined;
  /** Whether they wait: at first all in a queue do; of a Job that is there Kueue has decided. */
  readonly suspend: boolean;
  /** Size of the volume of each coordinator. */
  readonly storage: string;
  /** Servers that keep a sweep. */
  readonly nats: string;
  /** Without certificates. */
  readonly plainText: boolean;
}

/** Annotation with the SHA-256 of the submitted file: an object with another one belongs to somebody else. */
export const SHA256_ANNOTATION = 'deepdefense/config-sha256';
/** Annotation that says `sweep` or `run`. */
export const KIND_ANNOTATION = 'deepdefense/kind';
export const INSTANCE_LABEL = 'app.kubernetes.io/instance';
/** LocalQueue of Kueue in which a Job waits. */
export const QUEUE_LABEL = 'kueue.x-k8s.io/queue-name';

export function labelsOf(id: string, component: Component): Readonly<Record<string, string>> {
  return {
    'app.kubernetes.io/name': 'deepdefense',
    'app.kubernetes.io/component': component,
    [INSTANCE_LABEL]: id,
    'app.kubernetes.io/part-of': 'deepdefense',
  };
}

/** Labels that don't change over versions. */
export function selectorOf(id: string, component: Component): Readonly<Record<string, string>> {
  const { 'app.kubernetes.io/part-of': _, ...selector } = labelsOf(id, component);
  return selector;
}

export function metadataOf(
  { id, kind, sha256 }: Submission,
  { namespace }: Placement,
  component: Component,
  suffix = '',
): KubernetesObject['metadata'] {
  return {
    name: `${id}${suffix}`,
    namespace,
    labels: labelsOf(id, component),
    annotations: { [KIND_ANNOTATION]: kind, [SHA256_ANNOTATION]: sha256 },
  };
}

/** What the Pod Security Standard "restricted" asks for, and user 10001 of the images. */
export const POD_SECURITY = {
  runAsNonRoot: true,
  runAsUser: 10001,
  runAsGroup: 10001,
  fsGroup: 10001,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

export const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
} as const;

/** Probes of the HTTP port. Liveness is the event loop alone: peers may be away for a while. */
export const PROBES = {
  startupProbe: { httpGet: { path: '/livez', port: 'http' }, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 150 },
  readinessProbe: { httpGet: { path: '/readyz', port: 'http' }, periodSeconds: 5, timeoutSeconds: 5 },
  livenessProbe: { httpGet: { path: '/livez', port: 'http' }, periodSeconds: 15, timeoutSeconds: 10, failureThreshold: 4 },
} as const;

export const HTTP_CONTAINER_PORT = { name: 'http', containerPort: HTTP_PORT } as const;

/** A volume with the place where it is mounted; `volume` is left out for those of a StatefulSet's template. */
export interface Mount {
  readonly name: string;
  readonly path: string;
  readonly readOnly?: boolean;
  readonly volume?: Readonly<Record<string, unknown>>;
}

/** Volumes that coordinators and workers have alike. */
export function commonMounts(component: Component, { needsData }: Submission, { plainText }: Placement): readonly Mount[] {
  const certs = { secret: { secretName: `deepdefense-${component}-tls`, defaultMode: 0o440 } };
  const dataset = { persistentVolumeClaim: { claimName: 'deepdefense-data', readOnly: true } };
  return [
    ...(plainText ? [] : [{ name: 'certs', path: '/certs', readOnly: true, volume: certs }]),
    ...(needsData ? [{ name: 'dataset', path: '/data', readOnly: true, volume: dataset }] : []),
    { name: 'cache', path: '/cache', volume: { emptyDir: { sizeLimit: '2Gi' } } },
    { name: 'tmp', path: '/tmp', volume: { emptyDir: { sizeLimit: '1Gi' } } },
  ];
}

export function volumesOf(mounts: readonly Mount[]): readonly object[] {
  return mounts.flatMap(({ name, volume }) => (volume === undefined ? [] : [{ name, ...volume }]));
}

export function volumeMountsOf(mounts: readonly Mount[]): readonly object[] {
  return mounts.map(({ name, path, readOnly }) => ({ name, mountPath: path, ...(readOnly === true && { readOnly }) }));
}

/** Environment that the image's command reads. */
export function environmentOf({ kind, needsData }: Submission, { nats, plainText }: Placement): readonly object[] {
  return [
    ...(kind === 'sweep' ? [{ name: 'DEEPDEFENSE_NATS', value: nats }] : []),
    ...(plainText ? [] : [{ name: 'DEEPDEFENSE_CERTS', value: '/certs' }]),
    ...(needsData ? [{ name: 'DEEPDEFENSE_DATA', value: '/data' }] : []),
    { name: 'DEEPDEFENSE_CACHE', value: '/cache' },
  ];
}
