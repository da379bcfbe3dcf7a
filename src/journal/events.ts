/**
 * @file The events of a run. Everything that the coordinator decides is one of them; the state of a run is a fold over them.
 * Times are in the record around an event (file-journal.ts), not in the event.
 */
import type { EvaluationName } from '../config/index.ts';

/** Worker time of a run, all its processes together, up to the event that has it. */
export interface GoodputSoFar {
  /** Seconds by class (see docs/architecture.md), summed over workers; what is 0 is left out. */
  readonly seconds: Readonly<Record<string, number>>;
  /** Workers that are ready at the moment. */
  readonly readyWorkers: number;
}

/** First event of a run folder. */
export interface RunStarted {
  readonly type: 'run-started';
  /** See RUN_FORMAT. Older versions left it out. */
  readonly format?: number;
  readonly runId: string;
  readonly packageVersion: string;
  /** The resolved config. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Steps that the run will have. */
  readonly totalSteps: number;
  /** Samples of one epoch. */
  readonly samplesPerEpoch: number;
  readonly datasetName: string;
  /** SHA-256 of the dataset's records. */
  readonly datasetHash: string;
  /** SHA-256 of the file sample-hashes.bin in the run folder; see src/data/sample-hashes.ts. */
  readonly sampleHashesSha256: string;
  /** SHA-256 of parameter names, shapes and dtypes. */
  readonly schemaHash: string;
}

/** The first parameters are there. */
export interface RunInitialised {
  readonly type: 'run-initialised';
  /** SHA-256 of the flat parameter vector before the first step. */
  readonly parametersSha256: string;
}

/** The run begins with the state of another one in place of parameters from the seed; its first step is `step`. */
export interface RunForked {
  readonly type: 'run-forked';
  /** Run that the state is from; what that was trained with says its own journal. */
  readonly fromRun: string;
  /** Committed steps in the state; the first step of this run. */
  readonly step: number;
  /** SHA-256 of the flat parameter vector. */
  readonly parametersSha256: string;
}

/** The coordinator was started again from a checkpoint. Steps from `fromStep` on that were committed before this event are void. */
export interface RunResumed {
  readonly type: 'run-resumed';
  /** Committed steps in the checkpoint; the next step to commit. */
  readonly fromStep: number;
  /** File name of the checkpoint inside the run folder; empty when the run begins again. */
  readonly checkpoint: string;
  /** That of the void steps recomputed, the time without a coordinator included. Older versions left it out. */
  readonly goodput?: GoodputSoFar;
}

/** A worker was accepted and is ready. */
export interface WorkerJoined {
  readonly type: 'worker-joined';
  readonly workerId: string;
  readonly host: string;
  readonly engineFingerprint: string;
}

/** A worker is gone. */
export interface WorkerLeft {
  readonly type: 'worker-left';
  readonly workerId: string;
  /** e.g. `goodbye`, `disconnected`, `silent`, `refused`, `finished`. */
  readonly reason: string;
}

/** Shards were taken from a worker that didn't answer in time; they are leased again under a higher epoch. */
export interface LeaseExpired {
  readonly type: 'lease-expired';
  readonly workerId: string;
  readonly step: number;
  readonly leaseEpoch: number;
  readonly blocks: readonly { readonly first: number; readonly count: number }[];
  /** `lost` (worker gone or silent), `deadline` (step took too long) or `failed` (the worker said so). */
  readonly reason: string;
}

/** One counted answer of a step. */
export interface CountedBlock {
  readonly first: number;
  readonly count: number;
  readonly workerId: string;
  /** SHA-256 of the sum of the shards' gradients as float32 values, little-endian. */
  readonly gradientsSha256: string;
}

/** A step was applied to the parameters: it consumed positions [position, position + samples) of the sample sequence, and no other step did. */
export interface StepCommitted {
  readonly type: 'step-committed';
  /** Number of the step, from 0; afterwards step + 1 steps are committed. */
  readonly step: number;
  /** Epoch of the first position, from 0. */
  readonly epoch: number;
  /** First position of the batch in the infinite sequence of epochs. */
  readonly position: number;
  readonly samples: number;
  readonly loss: number;
  /** All training metrics by name, e.g. `accuracy`, `gfa/conv1/cosine`. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly learningRate: number;
  /** Global norm before clipping. */
  readonly gradientNorm: number;
  /** Factor on GFA weights, 0..1. */
  readonly gfaScale: number;
  /** The counted answers, by first shard: which worker computed which node of the reduction tree, and what. */
  readonly blocks: readonly CountedBlock[];
  /** SHA-256 of the flat parameter vector after the step. */
  readonly parametersSha256: string;
  /** Wall time of the step. */
  readonly seconds: number;
  /** Pure computation of the counted answers as the workers report it, summed over workers. Older versions left it out. */
  readonly computeSeconds?: number;
}

/** A checkpoint is on disk. */
export interface CheckpointWritten {
  readonly type: 'checkpoint-written';
  /** Committed steps in it. */
  readonly step: number;
  /** File name inside the run folder. */
  readonly checkpoint: string;
  readonly bytes: number;
  readonly seconds: number;
  /** SHA-256 of the flat parameter vector. */
  readonly parametersSha256: string;
  /** Older versions left it out. */
  readonly goodput?: GoodputSoFar;
}

/** Test images were classified with the parameters after `step` steps. */
export interface EvaluationFinished {
  readonly type: 'evaluation-finished';
  readonly step: number;
  readonly attack: EvaluationName;
  /** L-infinity radius in [0,1] pixel units, 0 for clean. */
  readonly epsLinf: number;
  readonly samples: number;
  /** Share of samples still classified correctly, 0..1. */
  readonly accuracy: number;
  /** Mean cross-entropy after the attack. */
  readonly meanLoss: number;
  readonly seconds: number;
}

/** Last event of a run, or of a part of it before a resume. */
export interface RunFinished {
  readonly type: 'run-finished';
  readonly state: 'completed' | 'stopped' | 'failed';
  readonly reason: string;
  /** Committed steps. */
  readonly steps: number;
  /** SHA-256 of the flat parameter vector; empty when the run failed before it had one. */
  readonly parametersSha256: string;
  /** Older versions left it out. */
  readonly goodput?: GoodputSoFar;
}

export type JournalEvent =
  | RunStarted
  | RunInitialised
  | RunForked
  | RunResumed
  | WorkerJoined
  | WorkerLeft
  | LeaseExpired
  | StepCommitted
  | CheckpointWritten
  | EvaluationFinished
  | RunFinished;

/** The steps that count, in order: those voided by a later resume are left out. */
export function effectiveSteps(events: Iterable<JournalEvent>): StepCommitted[] {
  return effectiveStepsAs(events, (event) => event);
}

/**
 * The same of a long journal, of which a caller doesn't need all.
 * @param keep what is kept of each step
 */
export function effectiveStepsAs<Kept extends { readonly step: number }>(
  events: Iterable<JournalEvent>,
  keep: (event: StepCommitted) => Kept,
): Kept[] {
  const steps: Kept[] = [];
  for (const event of events) {
    if (event.type === 'step-committed') steps.push(keep(event));
    else if (event.type === 'run-resumed') while ((steps.at(-1)?.step ?? -1) >= event.fromStep) steps.pop();
  }
  return steps;
}
