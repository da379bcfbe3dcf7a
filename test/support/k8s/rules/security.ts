/** @file The restricted Pod Security Standard, and two things more: a read-only root file system, and no token. */
import { nameOf, ofKind, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';

const VOLUMES = ['configMap', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret', 'downwardAPI', 'csi', 'name'];

export const podsRestricted: Rule = (manifests) =>
  podTemplates(manifests).flatMap(({ owner, spec, containers }) => {
    const problems: string[] = [];
    const pod = nameOf(owner);
    const { securityContext: ofPod = {}, hostNetwork, hostPID, hostIPC, volumes = [] } = spec;
    const accounts = ofKind(manifests, 'ServiceAccount').filter(({ metadata }) => metadata.name === spec.serviceAccountName);
    if (spec.automountServiceAccountToken !== false && !accounts.some((account) => account.automountServiceAccountToken === false))
      problems.push(`${pod}: gets a token of its service account`);
    if (hostNetwork === true || hostPID === true || hostIPC === true) problems.push(`${pod}: shares a namespace of the host`);
    for (const volume of volumes)
      for (const type of Object.keys(volume)) if (!VOLUMES.includes(type)) problems.push(`${pod}: volume "${volume.name}" is a ${type}`);
    for (const { name, securityContext: own = {}, ports = [] } of containers) {
      const where = `${pod}/${name}`;
      const user = own.runAsUser ?? ofPod.runAsUser;
      if ((own.runAsNonRoot ?? ofPod.runAsNonRoot) !== true) problems.push(`${where}: runAsNonRoot isn't true`);
      if (user === undefined || user === 0) problems.push(`${where}: runAsUser is not another than root`);
      if ((own.seccompProfile ?? ofPod.seccompProfile)?.type !== 'RuntimeDefault')
        problems.push(`${where}: seccompProfile isn't RuntimeDefault`);
      if (own.allowPrivilegeEscalation !== false) problems.push(`${where}: allowPrivilegeEscalation isn't false`);
      if (own.privileged === true) problems.push(`${where}: is privileged`);
      if (own.readOnlyRootFilesystem !== true) problems.push(`${where}: readOnlyRootFilesystem isn't true`);
      if (own.capabilities?.drop?.includes('ALL') !== true) problems.push(`${where}: doesn't drop ALL capabilities`);
      if ((own.capabilities?.add ?? []).length > 0) problems.push(`${where}: adds capabilities`);
      if (ports.some(({ hostPort }) => hostPort !== undefined)) problems.push(`${where}: takes a port of the host`);
    }
    return problems;
  });

/** The API server enforces the same in the namespace. */
export const namespaceRestricted: Rule = (manifests) =>
  ofKind(manifests, 'Namespace')
    .filter(({ metadata }) => metadata.labels?.['pod-security.kubernetes.io/enforce'] !== 'restricted')
    .map((namespace) => `${nameOf(namespace)}: doesn't enforce the restricted Pod Security Standard`);
