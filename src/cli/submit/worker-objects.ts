/** @file Workers of one sweep or run: an Indexed Job, which is over when they say so. */
import { EXIT_CODES } from '../../core/index.ts';
import {
  commonMounts,
  CONTAINER_SECURITY,
  environmentOf,
  HTTP_CONTAINER_PORT,
  type KubernetesObject,
  labelsOf,
  metadataOf,
  type Mount,
  type Placement,
  POD_SECURITY,
  PROBES,
  QUEUE_LABEL,
  selectorOf,
  volumeMountsOf,
  volumesOf,
} from './kubernetes-object.ts';
import { GRPC_PORT, HTTP_PORT, type Submission } from './submission.ts';

/** Exit code of a worker that a signal ended before the work was over: 0 would count as done. */
const STOPPED = 143;
/** With these each worker would end the same way. */
const SAME_FOR_ALL = [EXIT_CODES.USAGE, EXIT_CODES.CONFIG, EXIT_CODES.DATA, EXIT_CODES.PROTOCOL];
/** Other errors, per worker: of a node, of the network. */
const ERRORS_PER_WORKER = 10;

/** None of a sweep that the pool works for. */
export function workerObjects(submission: Submission, placement: Placement): readonly KubernetesObject[] {
  const { workers } = placement;
  if (workers === 0) return [];
  return [...(workers > 1 ? [disruptionBudget(submission, placement)] : []), job(submission, placement)];
}

/** One leaves at a time. Of a Job's pods only a number that stays can be given. */
function disruptionBudget(submission: Submission, placement: Placement): KubernetesObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadataOf(submission, placement, 'worker', '-workers'),
    spec: {
      minAvailable: placement.workers - 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: selectorOf(submission.id, 'worker') },
    },
  };
}

function job(submission: Submission, placement: Placement): KubernetesObject {
  const { workers, queue, suspend } = placement;
  const metadata = metadataOf(submission, placement, 'worker', '-workers');
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { ...metadata, labels: { ...metadata.labels, ...(queue !== undefined && { [QUEUE_LABEL]: queue }) } },
    spec: {
      completionMode: 'Indexed',
      completions: workers,
      parallelism: workers,
      backoffLimitPerIndex: ERRORS_PER_WORKER,
      // Never two pods of one index.
      podReplacementPolicy: 'Failed',
      podFailurePolicy: {
        rules: [
          { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
          { action: 'Ignore', onExitCodes: { containerName: 'worker', operator: 'In', values: [STOPPED] } },
          { action: 'FailJob', onExitCodes: { containerName: 'worker', operator: 'In', values: SAME_FOR_ALL } },
          { action: 'FailIndex', onExitCodes: { containerName: 'worker', operator: 'In', values: [EXIT_CODES.ENGINE] } },
        ],
      },
      ...(queue !== undefined && { suspend }),
      template: {
        metadata: { labels: labelsOf(submission.id, 'worker') },
        spec: workerPod(submission, placement),
      },
    },
  };
}

function workerPod(submission: Submission, placement: Placement): object {
  const { gpus, cpu, memory, priority, workerImage } = placement;
  const sharesTrials = submission.kind === 'sweep' && submission.needsData;
  const trials: Mount = { name: 'trials', path: '/trials', volume: { persistentVolumeClaim: { claimName: 'deepdefense-trials' } } };
  const mounts = [...commonMounts('worker', submission, placement), ...(sharesTrials ? [trials] : [])];
  const severalProcesses = hasSeveralProcesses(submission, placement);
  return {
    serviceAccountName: 'deepdefense-worker',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    priorityClassName: `deepdefense-${priority ?? 'low'}`,
    restartPolicy: 'Never',
    // The step in progress ends, and a trial goes back to its queue with a checkpoint.
    terminationGracePeriodSeconds: 60,
    securityContext: POD_SECURITY,
    tolerations: [
      ...(gpus > 0 ? [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }] : []),
      // The end of a spot node costs a step, not the run.
      { key: 'cloud.google.com/gke-spot', operator: 'Exists', effect: 'NoSchedule' },
      { key: 'kubernetes.azure.com/scalesetpriority', operator: 'Equal', value: 'spot', effect: 'NoSchedule' },
      { key: 'spot', operator: 'Exists', effect: 'NoSchedule' },
      { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 },
      { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 },
    ],
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: selectorOf(submission.id, 'worker') },
      },
    ],
    containers: [
      {
        name: 'worker',
        image: workerImage,
        args: workerArguments(submission, placement, sharesTrials),
        env: environmentOf(submission, placement),
        ...(severalProcesses ? {} : { ports: [HTTP_CONTAINER_PORT], ...PROBES }),
        resources: {
          requests: { cpu, memory, 'ephemeral-storage': '256Mi', ...(gpus > 0 && { 'nvidia.com/gpu': gpus }) },
          limits: { cpu, memory, 'ephemeral-storage': '4Gi', ...(gpus > 0 && { 'nvidia.com/gpu': gpus }) },
        },
        securityContext: CONTAINER_SECURITY,
        volumeMounts: volumeMountsOf(mounts),
      },
    ],
    volumes: volumesOf(mounts),
  };
}

/** One process per GPU, but for a gang, whose members are threads of one process. Several processes have no port in common. */
function hasSeveralProcesses({ gang }: Submission, { gpus }: Placement): boolean {
  return gpus > 1 && gang === 1;
}

function workerArguments(submission: Submission, placement: Placement, sharesTrials: boolean): readonly string[] {
  const { id, kind } = submission;
  return [
    '--json',
    'worker',
    ...(kind === 'sweep' ? ['--sweep', id] : ['--coordinator', `${id}-0.${id}:${GRPC_PORT}`]),
    ...(sharesTrials ? ['--trials-folder', '/trials'] : []),
    ...(placement.gpus > 0 ? ['--engine', 'onnx:cuda'] : []),
    ...(hasSeveralProcesses(submission, placement) ? ['--devices', 'all'] : ['--http-host', '0.0.0.0', '--http-port', String(HTTP_PORT)]),
    ...['--stop-code', String(STOPPED)],
  ];
}
