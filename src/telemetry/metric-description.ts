/** @file What a metric is declared as: type, labels with their bounds, and which processes export it. */

/** Kinds of processes: coordinator of a run or an evaluation, its worker, coordinator of a sweep, its worker. */
export const METRICS_ROLES = ['coordinator', 'worker', 'sweep', 'sweep-worker'] as const;
export type MetricsRole = (typeof METRICS_ROLES)[number];

/** Every label, with what bounds the number of its values in one process. */
export const LABELS = {
  attack: 'attacks of the config: `clean`, `fgsm`, `pgd`',
  code: 'error codes of [exit codes](exit-codes.md); of gRPC calls the 17 status names of gRPC',
  dataset: 'one per process',
  device: 'one per process: index, or several where a gang has several devices',
  direction: 'received, sent',
  engine: 'one per process',
  eps: 'radii of the config (`evaluation.epsLinf`)',
  kind: 'of tasks: train, evaluate, initialise; of security events: the 13 kinds of docs/security.md',
  layer: 'layers of the model that GFA looks at, 40 at most',
  method: 'methods of the protocol files, 9',
  mode: 'one per process',
  model: 'one per process',
  node: 'one per process',
  objective: 'objectives of the sweep, 2 or 3',
  outcome: 'as the metric says, 5 at most',
  phase: 'as the metric says, 6 at most',
  reason: 'as the metric says, 5 at most',
  role: 'one per process',
  run: 'one per process',
  rung: 'rungs of the scheduler, below 20',
  sampler: 'one per process',
  scheduler: 'one per process',
  server: 'servers of the NATS cluster; those that lead no stream now are removed',
  state: 'as the metric says, 8 at most',
  strategy: 'one per process',
  stream: 'tasks, journal, events, claims',
  sweep: 'one per process',
  version: 'one per process',
  worker: 'workers that are present now; removed when they leave',
} as const;
export type LabelName = keyof typeof LABELS;

/** One metric of the table. */
export interface MetricDescription {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly LabelName[];
  /** Processes that export it. */
  readonly roles: readonly MetricsRole[];
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
  /** Observations of this histogram name their run, and trial or trace where there is one. */
  readonly exemplars?: true;
}

/** Parts of a training step's time: they are disjoint, and their sum is close to the step's whole time. */
export const STEP_PHASES = ['wait_workers', 'compute', 'reduce', 'update', 'send', 'checkpoint'] as const;
export type StepPhase = (typeof STEP_PHASES)[number];

/** 1 ms to 16 s, for parts of a step. */
export const PHASE_SECONDS = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1, 2, 4, 8, 16];
/** 5 ms to 82 s, for whole steps and tasks. */
export const TASK_SECONDS = [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/** 1 s to 9 h, for parts of trials. */
export const PART_SECONDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768];
/** 0.1 ms to 10 s, for calls over the network and to the disk. */
export const CALL_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** 10 ms to 1 h, for waits for work. */
export const WAIT_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600];

export const ALL = METRICS_ROLES;
export const COORDINATOR = ['coordinator'] as const;
/** Those with a gRPC server. */
export const LISTENERS = ['coordinator', 'sweep'] as const;
export const WORKER = ['worker'] as const;
export const BOTH = ['coordinator', 'worker'] as const;
export const SWEEP = ['sweep'] as const;
export const SWEEP_WORKER = ['sweep-worker'] as const;
/** Of training: a worker of a sweep trains in its own process, one trial at a time. */
export const TRIAL = ['coordinator', 'sweep-worker'] as const;
/** Of computation. */
export const COMPUTE = ['worker', 'sweep-worker'] as const;
/** Of processes with a journal. */
export const JOURNAL = ['coordinator', 'sweep'] as const;
/** Of processes with a gRPC server that others reach. */
export const SERVERS = ['coordinator', 'sweep'] as const;
/** Of processes that may have a connection to NATS. */
export const NATS = ['sweep', 'sweep-worker'] as const;
