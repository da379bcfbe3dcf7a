/** @file What a manifest names exists: in the same overlay, or among what docs/kubernetes.md tells the operator to make. */
import { at, type Manifest, nameOf, ofKind, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';

/** Made by hand, by cert-manager or by others; docs/kubernetes.md names each. */
export const MADE_ELSEWHERE: readonly string[] = [
  'Secret/deepdefense-coordinator-tls',
  'Secret/deepdefense-worker-tls',
  'Secret/deepdefense-operator-tls',
  'Secret/nats-tls',
  'Secret/deepdefense-ca',
  'RuntimeClass/nvidia',
];

export const referencesExist: Rule = (manifests) => {
  const known = new Set([...manifests.map(nameOf), ...MADE_ELSEWHERE]);
  const problems: string[] = [];
  const need = (by: Manifest, kind: string, name: string | undefined) => {
    if (name !== undefined && !known.has(`${kind}/${name}`)) problems.push(`${nameOf(by)}: there is no ${kind} "${name}"`);
  };
  for (const { owner, spec, containers } of podTemplates(manifests)) {
    need(owner, 'ServiceAccount', spec.serviceAccountName ?? 'none given');
    need(owner, 'PriorityClass', spec.priorityClassName ?? 'none given');
    need(owner, 'RuntimeClass', spec.runtimeClassName);
    need(owner, 'Service', at(owner, ['spec', 'serviceName']) as string | undefined);
    const claims = (at(owner, ['spec', 'volumeClaimTemplates']) ?? []) as readonly Manifest[];
    const volumes = new Set([...(spec.volumes ?? []).map(({ name }) => name), ...claims.map(({ metadata }) => metadata.name)]);
    for (const { configMap, secret, persistentVolumeClaim } of spec.volumes ?? []) {
      need(owner, 'ConfigMap', configMap?.name);
      need(owner, 'Secret', secret?.secretName);
      need(owner, 'PersistentVolumeClaim', persistentVolumeClaim?.claimName);
    }
    for (const { name, env = [], envFrom = [], volumeMounts = [] } of containers) {
      for (const { valueFrom } of env) {
        need(owner, 'ConfigMap', valueFrom?.configMapKeyRef?.name);
        need(owner, 'Secret', valueFrom?.secretKeyRef?.name);
      }
      for (const { configMapRef, secretRef } of envFrom) {
        need(owner, 'ConfigMap', configMapRef?.name);
        need(owner, 'Secret', secretRef?.name);
      }
      for (const { name: volume } of volumeMounts)
        if (!volumes.has(volume)) problems.push(`${nameOf(owner)}/${name}: there is no volume "${volume}"`);
    }
  }
  for (const binding of ofKind(manifests, 'RoleBinding', 'ClusterRoleBinding')) {
    const { kind, name } = at(binding, ['roleRef']) as { readonly kind: string; readonly name: string };
    need(binding, kind, name);
  }
  for (const queue of ofKind(manifests, 'LocalQueue')) need(queue, 'ClusterQueue', at(queue, ['spec', 'clusterQueue']) as string);
  for (const certificate of ofKind(manifests, 'Certificate')) {
    const { kind, name } = at(certificate, ['spec', 'issuerRef']) as { readonly kind: string; readonly name: string };
    need(certificate, kind, name);
    need(certificate, 'Secret', at(certificate, ['spec', 'secretName']) as string);
  }
  for (const issuer of ofKind(manifests, 'Issuer')) need(issuer, 'Secret', at(issuer, ['spec', 'ca', 'secretName']) as string | undefined);
  for (const manifest of manifests) need(manifest, 'LocalQueue', manifest.metadata.labels?.['kueue.x-k8s.io/queue-name']);
  return problems;
};

/** Names are unique, and everything that lives in a namespace lives in ours. */
export const namesUnique: Rule = (manifests) => {
  const seen = new Set<string>();
  return manifests.flatMap((manifest) => {
    const name = nameOf(manifest);
    const problems = seen.has(name) ? [`${name}: twice`] : [];
    seen.add(name);
    const { namespace } = manifest.metadata;
    const expected = OF_THE_CLUSTER.includes(manifest.kind) ? undefined : 'deepdefense';
    return namespace === expected ? problems : [...problems, `${name}: its namespace is ${namespace ?? 'not set'}`];
  });
};

const OF_THE_CLUSTER = ['Namespace', 'PriorityClass', 'ClusterQueue', 'ResourceFlavor', 'ClusterRole', 'ClusterRoleBinding'];
