/** @file Nodes whose kubelets kwok plays: pods run, become ready and leave as on machines, but nothing starts in them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../../test/integration/support/processes.ts';
import type { ControlPlane } from '../api-server/control-plane.ts';
import { node, platformVolumes, volume } from '../api-server/machines.ts';
import { answers, environment } from './install.ts';

/** How pods live. That of kwok itself would have pods of Jobs succeed at once. */
const STAGES = `apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: run}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
      - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
      - {key: .status.podIP, operator: DoesNotExist}
  next:
    statusTemplate: |
      phase: Running
      startTime: {{ Now | Quote }}
      hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
      podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
      conditions:
      {{ range $type := list "Initialized" "ContainersReady" "Ready" }}
      - {type: {{ $type }}, status: "True", lastTransitionTime: {{ Now | Quote }}}
      {{ end }}
      containerStatuses:
      {{ range .spec.containers }}
      - {name: {{ .name }}, image: {{ .image | Quote }}, ready: true, restartCount: 0, state: {running: {startedAt: {{ Now | Quote }}}}}
      {{ end }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: end}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
      - {key: .metadata.deletionTimestamp, operator: Exists}
      - {key: .status.phase, operator: In, values: [Running]}
  # About as long as a worker takes to write its checkpoint; its exit code is then that of SIGTERM.
  delay: {durationMilliseconds: 2000}
  next:
    statusTemplate: |
      phase: Failed
      containerStatuses:
      {{ range .spec.containers }}
      - {name: {{ .name }}, image: {{ .image | Quote }}, ready: false, restartCount: 0, state: {terminated: {exitCode: 143, reason: Error, finishedAt: {{ Now | Quote }}}}}
      {{ end }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: leave}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
      - {key: .metadata.deletionTimestamp, operator: Exists}
      - {key: .status.phase, operator: NotIn, values: [Running]}
  next: {delete: true}
`;

/** Starts controllers, scheduler and kubelets, with the volumes of the platform and some for coordinators. @param names of nodes, gpu-N with a GPU */
export async function startNodes(plane: ControlPlane, names: readonly string[]): Promise<void> {
  const { kubectl, programs } = plane;
  await plane.startControllers();
  const nodes = names.map((name, index) => node(name, index, name.startsWith('gpu') ? 1 : 0));
  const runs = [0, 1, 2, 3, 4, 5].map((index) => volume(`runs-${index}`, '10Gi', 'ReadWriteOnce'));
  const items = [...nodes, ...platformVolumes(), ...runs];
  const { code, stderr } = await kubectl.admin.send({ apiVersion: 'v1', kind: 'List', items }, 'create', '--filename', '-');
  if (code !== 0) throw new Error(stderr);
  await plane.startScheduler();
  const config = join(programs.folder, 'stages.yaml');
  await writeFile(config, STAGES);
  const address = `127.0.0.1:${await freePort()}`;
  const args = ['--config', config, '--manage-all-nodes', '--server-address', address];
  await programs.start('kwok', args, () => answers(`http://${address}/healthz`), environment(plane));
}
