/** @file The objects of a coordinator: its config, its StatefulSet, its names, and what a drain may do to it. */
import {
  CONTAINER_SECURITY,
  commonMounts,
  environmentOf,
  HTTP_CONTAINER_PORT,
  type KubernetesObject,
  labelsOf,
  metadataOf,
  type Mount,
  type Placement,
  POD_SECURITY,
  PROBES,
  selectorOf,
  volumeMountsOf,
  volumesOf,
} from './kubernetes-object.ts';
import { GRPC_PORT, HTTP_PORT, RUNS_FOLDER, type Submission } from './submission.ts';

export const CONFIG_SUFFIX = '-config';
const CONFIG_FILE = 'config.yaml';
/** A sweep on NATS has a second coordinator that stands by. A run is kept on the volume of one. */
const SWEEP_COORDINATORS = 2;

/** The submitted file. It never changes; another content is another submission. */
export function configMap(submission: Submission, placement: Placement): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadataOf(submission, placement, 'coordinator', CONFIG_SUFFIX),
    immutable: true,
    data: { [CONFIG_FILE]: submission.file },
  };
}

export function coordinatorObjects(submission: Submission, placement: Placement): readonly KubernetesObject[] {
  return [service(submission, placement), disruptionBudget(submission, placement), statefulSet(submission, placement)];
}

/** Stable names of the pods: `ID-0.ID`. Workers look for a run's coordinator before it is ready: it is ready when they are there. */
function service(submission: Submission, placement: Placement): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(submission, placement, 'coordinator'),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: selectorOf(submission.id, 'coordinator'),
      ports: [
        { name: 'grpc', port: GRPC_PORT, targetPort: 'grpc' },
        { name: 'http', port: HTTP_PORT, targetPort: 'http' },
      ],
    },
  };
}

/** One at a time: the standby takes over, or the one of a run goes on elsewhere. None at all would block drains for ever. */
function disruptionBudget(submission: Submission, placement: Placement): KubernetesObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadataOf(submission, placement, 'coordinator'),
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: selectorOf(submission.id, 'coordinator') },
    },
  };
}

function statefulSet(submission: Submission, placement: Placement): KubernetesObject {
  const { id, kind, sha256 } = submission;
  const labels = labelsOf(id, 'coordinator');
  const selector = selectorOf(id, 'coordinator');
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: metadataOf(submission, placement, 'coordinator'),
    spec: {
      replicas: kind === 'sweep' ? SWEEP_COORDINATORS : 1,
      serviceName: id,
      // A coordinator waits for no other one.
      podManagementPolicy: 'Parallel',
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      selector: { matchLabels: selector },
      template: {
        metadata: { labels, annotations: { 'deepdefense/config-sha256': sha256 } },
        spec: coordinatorPod(submission, placement, selector),
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'runs', labels: selector },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: placement.storage } } },
        },
      ],
    },
  };
}

function coordinatorPod(submission: Submission, placement: Placement, selector: Readonly<Record<string, string>>): object {
  const mounts: readonly Mount[] = [
    { name: 'config', path: '/config', readOnly: true, volume: { configMap: { name: `${submission.id}${CONFIG_SUFFIX}` } } },
    { name: 'runs', path: RUNS_FOLDER },
    ...commonMounts('coordinator', submission, placement),
  ];
  return {
    serviceAccountName: 'deepdefense-coordinator',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    priorityClassName: `deepdefense-${placement.priority ?? 'normal'}`,
    // The step in progress ends (cluster.graceMs, 20 s) and a checkpoint is written.
    terminationGracePeriodSeconds: 120,
    securityContext: POD_SECURITY,
    // A standby on the same node would be lost together with the first one.
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: selector },
      },
    ],
    containers: [
      {
        name: 'coordinator',
        image: placement.coordinatorImage,
        args: coordinatorArguments(submission, placement),
        env: environmentOf(submission, placement),
        ports: [{ name: 'grpc', containerPort: GRPC_PORT }, HTTP_CONTAINER_PORT],
        ...PROBES,
        resources: {
          requests: { cpu: '250m', memory: '512Mi', 'ephemeral-storage': '256Mi' },
          limits: { cpu: '2', memory: '2Gi', 'ephemeral-storage': '4Gi' },
        },
        securityContext: CONTAINER_SECURITY,
        volumeMounts: volumeMountsOf(mounts),
      },
    ],
    volumes: volumesOf(mounts),
  };
}

/** What ends is started again: so `--id` goes on with what is there, and `--stay` serves what is over. */
function coordinatorArguments({ id, kind }: Submission, { plainText }: Placement): readonly string[] {
  const common = ['--json', ...(plainText ? ['--insecure'] : [])];
  const file = ['-c', `/config/${CONFIG_FILE}`, '--id', id, '--stay'];
  if (kind === 'run') return [...common, 'coordinator', ...file];
  const addresses = ['--host', '0.0.0.0', '--port', String(GRPC_PORT), '--http-port', String(HTTP_PORT)];
  return [...common, 'sweep', ...file, '--standby', '--workers', '0', '--out', `${RUNS_FOLDER}/${id}`, ...addresses];
}
