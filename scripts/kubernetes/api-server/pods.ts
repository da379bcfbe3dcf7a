/** @file The pods that workloads would start, made as they are, so that the server's admission says what it thinks of each. */
import type { IIoK8sApiCoreV1PodSpec as PodSpec } from 'kubernetes-models/v1/PodSpec';
import { at, type Manifest, nameOf, podTemplates } from '../../../test/support/k8s/manifest.ts';
import type { Kubectl } from './kubectl.ts';
import type { Report } from './report.ts';

/** Without labels, so that no controller takes it for one of its own. */
function podOf(name: string, spec: PodSpec, claims: readonly string[]): object {
  const volumes = claims.map((claim) => ({ name: claim, persistentVolumeClaim: { claimName: `${claim}-${name}` } }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `plain-${name}`, namespace: 'deepdefense' },
    spec: { ...spec, restartPolicy: spec.restartPolicy ?? 'Always', volumes: [...(spec.volumes ?? []), ...volumes] },
  };
}

/** Makes each pod and removes it; then spoilt ones, which must be refused. Pod Security would only warn of the workloads themselves. */
export async function checkPods(admin: Kubectl, manifests: readonly Manifest[], report: Report): Promise<void> {
  const templates = podTemplates(manifests);
  for (const { owner, spec } of templates) {
    const claims = (at(owner, ['spec', 'volumeClaimTemplates']) ?? []) as readonly Manifest[];
    const pod = podOf(
      owner.metadata.name,
      spec,
      claims.map(({ metadata }) => metadata.name),
    );
    const made = await admin.send(pod, 'create', '--validate=strict', '--filename', '-');
    // A warning of Pod Security stands on stderr as well.
    report.check(`pod of ${nameOf(owner)} is admitted`, made.code === 0 ? made.stderr : made.stderr || 'refused');
    await admin.run('delete', 'pod', `plain-${owner.metadata.name}`, '--namespace', 'deepdefense', '--now', '--ignore-not-found');
  }
  const sound = templates.find(({ owner }) => at(owner, ['spec', 'volumeClaimTemplates']) === undefined)?.spec;
  if (sound === undefined) throw new Error('no pod to spoil');
  const spoilt: Readonly<Record<string, PodSpec>> = {
    privileged: { ...sound, containers: sound.containers.map((each) => ({ ...each, securityContext: { privileged: true } })) },
    root: { ...sound, securityContext: { ...sound.securityContext, runAsNonRoot: false, runAsUser: 0 } },
    'on-the-network-of-its-node': { ...sound, hostNetwork: true },
  };
  for (const [name, spec] of Object.entries(spoilt)) {
    const { code, stderr } = await admin.send(podOf(name, spec, []), 'create', '--filename', '-');
    const isRefused = code !== 0 && stderr.includes('violates PodSecurity "restricted:latest"');
    report.check(`pod that is ${name} is refused by Pod Security`, isRefused ? '' : stderr || 'admitted');
  }
}
