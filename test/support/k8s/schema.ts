/** @file Manifests against the OpenAPI schemas of Kubernetes and of the operators that we use: types, required fields, enums. */
import { z } from 'zod';
import { type Manifest, nameOf } from './manifest.ts';

/** Packages with the schemas of a group; Kubernetes' own groups are in the first one. */
const PACKAGES: Readonly<Record<string, string>> = {
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'cert-manager.io': '@kubernetes-models/cert-manager',
};

const quantity = z.union([z.string(), z.number()]);
const metadata = z
  .object({ name: z.string(), namespace: z.string().optional(), labels: z.record(z.string(), z.string()).optional() })
  .strict();

/** Kueue publishes no package: what we use of kueue.x-k8s.io/v1beta2, and nothing else. */
const KUEUE: Readonly<Record<string, z.ZodType>> = {
  ResourceFlavor: z
    .object({
      apiVersion: z.literal('kueue.x-k8s.io/v1beta2'),
      kind: z.literal('ResourceFlavor'),
      metadata: metadata.omit({ namespace: true }),
    })
    .strict(),
  ClusterQueue: z
    .object({
      apiVersion: z.literal('kueue.x-k8s.io/v1beta2'),
      kind: z.literal('ClusterQueue'),
      metadata: metadata.omit({ namespace: true }),
      spec: z
        .object({
          namespaceSelector: z.object({ matchLabels: z.record(z.string(), z.string()) }).strict(),
          queueingStrategy: z.enum(['StrictFIFO', 'BestEffortFIFO']),
          preemption: z.object({ withinClusterQueue: z.enum(['Never', 'LowerPriority', 'LowerOrNewerEqualPriority']) }).strict(),
          resourceGroups: z.array(
            z
              .object({
                coveredResources: z.array(z.string()),
                flavors: z.array(
                  z
                    .object({ name: z.string(), resources: z.array(z.object({ name: z.string(), nominalQuota: quantity }).strict()) })
                    .strict(),
                ),
              })
              .strict(),
          ),
        })
        .strict(),
    })
    .strict(),
  LocalQueue: z
    .object({
      apiVersion: z.literal('kueue.x-k8s.io/v1beta2'),
      kind: z.literal('LocalQueue'),
      metadata,
      spec: z.object({ clusterQueue: z.string() }).strict(),
    })
    .strict(),
};

/** The module of a kind's model; undefined for kinds of Kueue. */
export function modelModule({ apiVersion, kind }: Manifest): string | undefined {
  const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] as string) : '';
  if (group === 'kueue.x-k8s.io') return undefined;
  return `${PACKAGES[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`;
}

/** @returns what is wrong, one line each; a kind without a schema is a problem, too */
export async function schemaProblems(manifest: Manifest): Promise<string[]> {
  const name = nameOf(manifest);
  const module = modelModule(manifest);
  if (module === undefined) {
    const schema = KUEUE[manifest.kind];
    if (schema === undefined) return [`${name}: no schema for this kind`];
    const { error } = schema.safeParse(manifest);
    return error === undefined ? [] : error.issues.map(({ path, message }) => `${name}: /${path.join('/')} ${message}`);
  }
  type Model = new (data: Manifest) => { validate(): void };
  let models: Readonly<Record<string, Model>>;
  try {
    models = (await import(module)) as Readonly<Record<string, Model>>;
  } catch {
    return [`${name}: ${manifest.apiVersion} has no ${manifest.kind}`];
  }
  const Kind = models[manifest.kind];
  if (Kind === undefined) return [`${name}: no schema for this kind`];
  try {
    new Kind(manifest).validate();
    return [];
  } catch (error) {
    return [`${name}: ${error instanceof Error ? error.message.replaceAll('\n', '; ') : String(error)}`];
  }
}
