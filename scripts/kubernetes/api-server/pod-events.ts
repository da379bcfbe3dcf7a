/** @file What happens to pods: states, written in place of a kubelet, and evictions, as a drain asks for them. */
import type { Manifest } from '../../../test/support/k8s/manifest.ts';
import type { Kubectl } from './kubectl.ts';

export interface Pod extends Manifest {
  readonly spec: { readonly containers: readonly { readonly name: string; readonly image: string }[] };
}

/** @param exitCode of all containers, of a pod that has ended. @throws Error when the server refuses it */
export async function setPodStatus(
  admin: Kubectl,
  { metadata, spec }: Pod,
  phase: 'Running' | 'Succeeded' | 'Failed',
  exitCode = 0,
): Promise<void> {
  const isRunning = phase === 'Running';
  const now = new Date().toISOString().replace(/\.\d+Z/, 'Z');
  const reason = phase === 'Failed' ? 'Error' : 'Completed';
  const state = isRunning ? { running: { startedAt: now } } : { terminated: { exitCode, reason, startedAt: now, finishedAt: now } };
  const status = {
    phase,
    conditions: [{ type: 'Ready', status: isRunning ? 'True' : 'False', lastTransitionTime: now }],
    containerStatuses: spec.containers.map(({ name, image }) => ({ name, image, imageID: '', ready: isRunning, restartCount: 0, state })),
  };
  const patch = JSON.stringify({ status });
  const args = ['patch', 'pod', metadata.name, '--namespace', 'deepdefense', '--subresource=status', '--type=merge', '--patch', patch];
  const { code, stderr } = await admin.run(...args);
  if (code !== 0) throw new Error(stderr);
}

/** @returns why not; empty when the pod goes */
export async function evict(admin: Kubectl, name: string): Promise<string> {
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'deepdefense' } };
  const path = `/api/v1/namespaces/deepdefense/pods/${name}/eviction`;
  const { code, stderr } = await admin.send(eviction, 'create', '--raw', path, '--filename', '-');
  return code === 0 ? '' : stderr || 'refused';
}
