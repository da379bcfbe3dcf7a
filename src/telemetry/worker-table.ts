/** @file Metrics of a worker process of a run. */
import { COMPUTE, TASK_SECONDS, WORKER, type MetricDescription } from './metric-description.ts';

export const WORKER_METRICS = {
  connected: {
    name: 'deepdefense_worker_connected',
    type: 'gauge',
    help: '1 while the worker has a stream to its coordinator, else 0.',
    labels: [],
    roles: WORKER,
  },
  workerReady: {
    name: 'deepdefense_worker_ready',
    type: 'gauge',
    help: '1 while the worker is ready for tasks of its coordinator, else 0.',
    labels: [],
    roles: WORKER,
  },
  reconnects: {
    name: 'deepdefense_worker_reconnects_total',
    type: 'counter',
    help: 'Attempts to connect again after the stream was lost.',
    labels: [],
    roles: WORKER,
  },
  deviceInfo: {
    name: 'deepdefense_worker_device_info',
    type: 'gauge',
    help: 'Always 1; where the worker computes: engine, and index of the device.',
    labels: ['engine', 'device'],
    roles: COMPUTE,
  },
  taskSeconds: {
    name: 'deepdefense_worker_task_seconds',
    type: 'histogram',
    help: 'Pure computation of a task, by kind: train (one block of shards), evaluate, initialise.',
    labels: ['kind'],
    roles: COMPUTE,
    buckets: TASK_SECONDS,
    exemplars: true,
  },
  workerSamples: {
    name: 'deepdefense_worker_samples_total',
    type: 'counter',
    help: 'Samples computed by kind: train, evaluate.',
    labels: ['kind'],
    roles: COMPUTE,
  },
  taskFailures: {
    name: 'deepdefense_worker_task_failures_total',
    type: 'counter',
    help: 'Tasks that failed on this worker, by error code.',
    labels: ['code'],
    roles: COMPUTE,
  },
  compileSeconds: {
    name: 'deepdefense_worker_compile_seconds',
    type: 'gauge',
    help: 'Time spent on making graphs ready, by phase: capture, session.',
    labels: ['phase'],
    roles: COMPUTE,
  },
} as const satisfies Record<string, MetricDescription>;
