/** @file Kubernetes manifests as data: documents, and the pods that they describe. */
import type { IIoK8sApiCoreV1Container as Container } from 'kubernetes-models/v1/Container';
import type { IIoK8sApiCoreV1PodSpec as PodSpec } from 'kubernetes-models/v1/PodSpec';
import { parseAllDocuments } from 'yaml';

export type Labels = Readonly<Record<string, string>>;

/** One document; its spec is typed where its kind is known. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels; readonly annotations?: Labels };
  readonly [key: string]: unknown;
}

/** What a workload starts. */
export interface PodTemplate {
  readonly owner: Manifest;
  readonly labels: Labels;
  readonly spec: PodSpec;
  /** Containers and init containers. */
  readonly containers: readonly Container[];
}

interface RawTemplate {
  readonly metadata?: { readonly labels?: Labels };
  readonly spec: PodSpec;
}

/** Kinds that start pods, with the path of their template. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  Deployment: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
  ScaledJob: ['spec', 'jobTargetRef', 'template'],
  Pod: [],
};

/** @throws Error on YAML that can't be read, and on documents without apiVersion, kind or name */
export function parseManifests(yaml: string): Manifest[] {
  return parseAllDocuments(yaml)
    .filter((document) => document.contents !== null)
    .map((document) => {
      const [error] = document.errors;
      if (error !== undefined) throw error;
      const manifest = document.toJS() as Partial<Manifest> | undefined;
      if (typeof manifest?.apiVersion !== 'string' || typeof manifest.kind !== 'string' || typeof manifest.metadata?.name !== 'string')
        throw new Error(`not a manifest: ${JSON.stringify(manifest).slice(0, 200)}`);
      return manifest as Manifest;
    });
}

/** e.g. `Deployment/web`. */
export function nameOf({ kind, metadata }: Manifest): string {
  return `${kind}/${metadata.name}`;
}

export function ofKind(manifests: readonly Manifest[], ...kinds: readonly string[]): Manifest[] {
  return manifests.filter(({ kind }) => kinds.includes(kind));
}

/** The pods that the manifests start. */
export function podTemplates(manifests: readonly Manifest[]): PodTemplate[] {
  return manifests.flatMap((owner) => {
    const path = TEMPLATES[owner.kind];
    if (path === undefined) return [];
    const template = at(owner, path) as RawTemplate;
    const { containers, initContainers = [] } = template.spec;
    return [{ owner, labels: template.metadata?.labels ?? {}, spec: template.spec, containers: [...initContainers, ...containers] }];
  });
}

/** The value at a path of keys and indices; undefined where there is none. */
export function at(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Readonly<Record<string | number, unknown>> | undefined)?.[key], value);
}
