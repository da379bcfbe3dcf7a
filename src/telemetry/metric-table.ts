/**
 * @file Every Prometheus metric, declared once in {@link METRICS}; docs/metrics.md is generated from it. Names follow
 * https://prometheus.io/docs/practices/naming/: prefix `deepdefense_`, base units, `_total` on counters only. No label is unbounded.
 */
import { SECURITY_EVENTS } from '../security/index.ts';

export type MetricsRole = 'coordinator' | 'worker' | 'sweep';

/** One metric of the table. */
export interface MetricDescription {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Processes that export it. */
  readonly roles: readonly MetricsRole[];
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

/** Parts of a training step's time: they are disjoint, and their sum is close to the step's whole time. */
export const STEP_PHASES = ['wait_workers', 'compute', 'reduce', 'update', 'send', 'checkpoint'] as const;
export type StepPhase = (typeof STEP_PHASES)[number];

/** 1 ms to 16 s, for parts of a step. */
const PHASE_SECONDS = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1, 2, 4, 8, 16];
/** 5 ms to 82 s, for whole steps and tasks. */
const TASK_SECONDS = [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/** 1 s to 9 h, for parts of trials. */
const PART_SECONDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768];

const COORDINATOR = ['coordinator'] as const;
const WORKER = ['worker'] as const;
const BOTH = ['coordinator', 'worker'] as const;
const SWEEP = ['sweep'] as const;
const ALL = ['coordinator', 'worker', 'sweep'] as const;
const LISTENERS = ['coordinator', 'sweep'] as const;

/** The table of all metrics, by the name of their handle in {@link Metrics}. */
export const METRICS = {
  buildInfo: {
    name: 'deepdefense_build_info',
    type: 'gauge',
    help: 'Always 1; the version of deepdefense and Node.js, and the role of the process.',
    labels: ['version', 'node', 'role'],
    roles: ALL,
  },
  runInfo: {
    name: 'deepdefense_run_info',
    type: 'gauge',
    help: 'Always 1; what the current run is.',
    labels: ['run', 'strategy', 'model', 'dataset', 'engine'],
    roles: COORDINATOR,
  },
  plannedSteps: {
    name: 'deepdefense_planned_steps',
    type: 'gauge',
    help: 'Steps that the run will have at its end.',
    labels: [],
    roles: COORDINATOR,
  },
  step: {
    name: 'deepdefense_step',
    type: 'gauge',
    help: 'Committed steps of the run, those before a resume included.',
    labels: [],
    roles: COORDINATOR,
  },
  epoch: {
    name: 'deepdefense_epoch',
    type: 'gauge',
    help: 'Passes over the training set so far, with fraction.',
    labels: [],
    roles: COORDINATOR,
  },
  steps: { name: 'deepdefense_steps_total', type: 'counter', help: 'Steps committed by this process.', labels: [], roles: COORDINATOR },
  samples: {
    name: 'deepdefense_samples_total',
    type: 'counter',
    help: 'Training samples of the steps committed by this process.',
    labels: [],
    roles: COORDINATOR,
  },
  samplesPerSecond: {
    name: 'deepdefense_samples_per_second',
    type: 'gauge',
    help: 'Training samples per second over the last steps.',
    labels: [],
    roles: COORDINATOR,
  },
  loss: {
    name: 'deepdefense_loss',
    type: 'gauge',
    help: 'Training loss of the last step, regulariser included.',
    labels: [],
    roles: COORDINATOR,
  },
  lossTerm: {
    name: 'deepdefense_loss_term',
    type: 'gauge',
    help: 'Training loss of the last step without the regulariser.',
    labels: [],
    roles: COORDINATOR,
  },
  trainAccuracy: {
    name: 'deepdefense_train_accuracy_ratio',
    type: 'gauge',
    help: 'Share of the last batch that was classified correctly.',
    labels: [],
    roles: COORDINATOR,
  },
  gfaTerm: {
    name: 'deepdefense_gfa_term',
    type: 'gauge',
    help: 'GFA penalty of a layer in the last step, before its weight.',
    labels: ['layer'],
    roles: COORDINATOR,
  },
  gfaCosine: {
    name: 'deepdefense_gfa_cosine',
    type: 'gauge',
    help: 'Mean cosine between feature and gradient of a layer in the last step, -1..1.',
    labels: ['layer'],
    roles: COORDINATOR,
  },
  gfaAbsCosine: {
    name: 'deepdefense_gfa_abs_cosine',
    type: 'gauge',
    help: 'Mean absolute cosine between feature and gradient of a layer in the last step, 0..1.',
    labels: ['layer'],
    roles: COORDINATOR,
  },
  gfaGradientNorm: {
    name: 'deepdefense_gfa_gradient_norm',
    type: 'gauge',
    help: 'Mean norm of the gradient with respect to a layer in the last step.',
    labels: ['layer'],
    roles: COORDINATOR,
  },
  gfaZeroGradient: {
    name: 'deepdefense_gfa_zero_gradient_ratio',
    type: 'gauge',
    help: 'Share of samples whose gradient with respect to a layer vanishes, in the last step.',
    labels: ['layer'],
    roles: COORDINATOR,
  },
  learningRate: {
    name: 'deepdefense_learning_rate',
    type: 'gauge',
    help: 'Learning rate of the last step.',
    labels: [],
    roles: COORDINATOR,
  },
  gradientNorm: {
    name: 'deepdefense_gradient_norm',
    type: 'gauge',
    help: 'Global norm of the gradient of the last step, before clipping; with local steps of the mean change of the last round.',
    labels: [],
    roles: COORDINATOR,
  },
  stepSeconds: {
    name: 'deepdefense_step_seconds',
    type: 'histogram',
    help: 'Whole time of a step; with local steps (sync.everySteps) of a round.',
    labels: [],
    roles: COORDINATOR,
    buckets: TASK_SECONDS,
  },
  stepPhaseSeconds: {
    name: 'deepdefense_step_phase_seconds',
    type: 'histogram',
    help: `Time of a step by phase: ${STEP_PHASES.join(', ')}.`,
    labels: ['phase'],
    roles: COORDINATOR,
    buckets: PHASE_SECONDS,
  },
  gradientBytes: {
    name: 'deepdefense_gradient_bytes_total',
    type: 'counter',
    help: 'Bytes of gradients, or with local steps of changes, received (coordinator) or sent (worker).',
    labels: [],
    roles: BOTH,
  },
  parameterBytes: {
    name: 'deepdefense_parameter_bytes_total',
    type: 'counter',
    help: 'Bytes of parameters sent (coordinator) or received (worker).',
    labels: [],
    roles: BOTH,
  },
  datasetBytes: {
    name: 'deepdefense_dataset_bytes_total',
    type: 'counter',
    help: 'Bytes of dataset records sent (coordinator) or received (worker).',
    labels: [],
    roles: BOTH,
  },
  workers: {
    name: 'deepdefense_workers',
    type: 'gauge',
    help: 'Workers by state: joining (has said Hello), idle (spares and quarantined ones included), busy, lost (silent, not yet removed).',
    labels: ['state'],
    roles: COORDINATOR,
  },
  workerSeconds: {
    name: 'deepdefense_worker_seconds_total',
    type: 'counter',
    help: 'Time of all workers, in all processes of the run, by state: useful (computation of training answers that were counted), recomputed (work that did not count), stragglers (waits for the rest of a step), coordinator (messages, waits between steps and for a crashed coordinator), checkpointing, evaluation, preparing, idle.',
    labels: ['state'],
    roles: COORDINATOR,
  },
  workerJoins: {
    name: 'deepdefense_worker_joins_total',
    type: 'counter',
    help: 'Workers accepted, returning ones included.',
    labels: [],
    roles: COORDINATOR,
  },
  workerLeaves: {
    name: 'deepdefense_worker_leaves_total',
    type: 'counter',
    help: 'Workers gone, by reason: goodbye, disconnected, silent, refused, finished.',
    labels: ['reason'],
    roles: COORDINATOR,
  },
  leasesGranted: {
    name: 'deepdefense_leases_granted_total',
    type: 'counter',
    help: 'Leases on shards given to workers.',
    labels: [],
    roles: COORDINATOR,
  },
  speculativeLeases: {
    name: 'deepdefense_speculative_leases_total',
    type: 'counter',
    help: 'Leases on units that a straggler is computing already; the first answer counts.',
    labels: [],
    roles: COORDINATOR,
  },
  answersSuperseded: {
    name: 'deepdefense_answers_superseded_total',
    type: 'counter',
    help: 'Answers that came after that of another worker to the same speculatively leased units.',
    labels: [],
    roles: COORDINATOR,
  },
  quarantines: {
    name: 'deepdefense_quarantines_total',
    type: 'counter',
    help: 'Times that a worker got no new lease for a while, by reason: deadline, failed (its leases were taken back), silent.',
    labels: ['reason'],
    roles: COORDINATOR,
  },
  leasesExpired: {
    name: 'deepdefense_leases_expired_total',
    type: 'counter',
    help: 'Leases taken back, by reason: lost (worker gone or silent), deadline (step took too long), failed (worker said so).',
    labels: ['reason'],
    roles: COORDINATOR,
  },
  refusals: {
    name: 'deepdefense_refusals_total',
    type: 'counter',
    help: 'Messages, workers and claims refused, by error code.',
    labels: ['code'],
    roles: LISTENERS,
  },
  securityEvents: {
    name: 'deepdefense_security_events_total',
    type: 'counter',
    help: `What no honest peer does, by kind: ${Object.entries(SECURITY_EVENTS)
      .map(([kind, meaning]) => `${kind} (${meaning})`)
      .join('; ')}.`,
    labels: ['kind'],
    roles: LISTENERS,
  },
  heartbeats: {
    name: 'deepdefense_heartbeats_total',
    type: 'counter',
    help: 'Heartbeats received (coordinator) or sent (worker).',
    labels: [],
    roles: BOTH,
  },
  workerLastHeartbeat: {
    name: 'deepdefense_worker_last_heartbeat_timestamp_seconds',
    type: 'gauge',
    help: 'When a present worker was last heard, in seconds since the epoch; removed when it leaves.',
    labels: ['worker'],
    roles: COORDINATOR,
  },
  checkpointSeconds: {
    name: 'deepdefense_checkpoint_seconds',
    type: 'histogram',
    help: 'Time to write a checkpoint.',
    labels: [],
    roles: COORDINATOR,
    buckets: TASK_SECONDS,
  },
  checkpointBytes: {
    name: 'deepdefense_checkpoint_bytes',
    type: 'gauge',
    help: 'Size of the last checkpoint.',
    labels: [],
    roles: COORDINATOR,
  },
  lastCheckpoint: {
    name: 'deepdefense_last_checkpoint_timestamp_seconds',
    type: 'gauge',
    help: 'When the last checkpoint was written, in seconds since the epoch.',
    labels: [],
    roles: COORDINATOR,
  },
  evaluationSeconds: {
    name: 'deepdefense_evaluation_seconds',
    type: 'histogram',
    help: 'Time of a whole evaluation, by attack (clean, fgsm, pgd).',
    labels: ['attack'],
    roles: COORDINATOR,
    buckets: TASK_SECONDS,
  },
  accuracy: {
    name: 'deepdefense_accuracy_ratio',
    type: 'gauge',
    help: 'Test accuracy of the last evaluation, by attack (clean, fgsm, pgd) and L-infinity radius in [0,1] pixel units (0 for clean).',
    labels: ['attack', 'eps'],
    roles: COORDINATOR,
  },
  nonFinite: {
    name: 'deepdefense_nonfinite_total',
    type: 'counter',
    help: 'Steps refused because the loss or a gradient was not finite.',
    labels: [],
    roles: COORDINATOR,
  },
  connected: {
    name: 'deepdefense_worker_connected',
    type: 'gauge',
    help: '1 while the worker has a stream to its coordinator, else 0.',
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
  taskSeconds: {
    name: 'deepdefense_worker_task_seconds',
    type: 'histogram',
    help: 'Pure computation of a task, by kind: train (one block of shards), evaluate, initialise.',
    labels: ['kind'],
    roles: WORKER,
    buckets: TASK_SECONDS,
  },
  workerSamples: {
    name: 'deepdefense_worker_samples_total',
    type: 'counter',
    help: 'Samples computed by kind: train, evaluate.',
    labels: ['kind'],
    roles: WORKER,
  },
  taskFailures: {
    name: 'deepdefense_worker_task_failures_total',
    type: 'counter',
    help: 'Tasks that failed on this worker, by error code.',
    labels: ['code'],
    roles: WORKER,
  },
  compileSeconds: {
    name: 'deepdefense_worker_compile_seconds',
    type: 'gauge',
    help: 'Time spent on making graphs ready, by phase: capture, session.',
    labels: ['phase'],
    roles: WORKER,
  },
  sweepInfo: {
    name: 'deepdefense_sweep_info',
    type: 'gauge',
    help: 'Always 1; what the sweep is.',
    labels: ['sweep', 'sampler', 'scheduler', 'mode'],
    roles: SWEEP,
  },
  sweepCandidates: {
    name: 'deepdefense_sweep_candidates',
    type: 'gauge',
    help: 'Candidates by state: running, paused, stopped, completed, failed.',
    labels: ['state'],
    roles: SWEEP,
  },
  sweepBudget: {
    name: 'deepdefense_sweep_candidate_budget',
    type: 'gauge',
    help: 'Candidates that the sweep may have.',
    labels: [],
    roles: SWEEP,
  },
  sweepMeasurements: {
    name: 'deepdefense_sweep_measurements',
    type: 'gauge',
    help: 'Measurements of the sweep by rung and outcome (measured, failed), those of earlier processes included.',
    labels: ['rung', 'outcome'],
    roles: SWEEP,
  },
  sweepBest: {
    name: 'deepdefense_sweep_best_value',
    type: 'gauge',
    help: 'Best single measurement of an objective on a rung; it flatters the candidate: intervals are in the report.',
    labels: ['objective', 'rung'],
    roles: SWEEP,
  },
  sweepTasks: {
    name: 'deepdefense_sweep_tasks',
    type: 'gauge',
    help: 'Parts of trials in the queue by state: waiting, claimed.',
    labels: ['state'],
    roles: SWEEP,
  },
  sweepWorkersLost: {
    name: 'deepdefense_sweep_workers_lost_total',
    type: 'counter',
    help: 'Claims taken from workers that fell silent, as seen by this process.',
    labels: [],
    roles: SWEEP,
  },
  sweepMeasurementSeconds: {
    name: 'deepdefense_sweep_measurement_seconds',
    type: 'histogram',
    help: 'Time of a worker for one part of a trial, training and attacks, by rung.',
    labels: ['rung'],
    roles: SWEEP,
    buckets: PART_SECONDS,
  },
  sweepSecondsLeft: {
    name: 'deepdefense_sweep_expected_seconds_left',
    type: 'gauge',
    help: 'Expected time to the end of the sweep at the present rate; NaN before there is a rate.',
    labels: [],
    roles: SWEEP,
  },
  sweepPaused: {
    name: 'deepdefense_sweep_paused',
    type: 'gauge',
    help: '1 while no trial is given out because somebody paused the sweep.',
    labels: [],
    roles: SWEEP,
  },
} as const satisfies Record<string, MetricDescription>;
