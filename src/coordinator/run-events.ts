/** @file What a run tells whoever watches it, and its result. */
import type { Config, EvaluationName } from '../config/index.ts';
import type { GoodputReport } from './goodput.ts';

/** Progress of a run; the order is that of the run. */
export type RunEvent =
  | {
      readonly kind: 'started';
      readonly runId: string;
      readonly runFolder: string;
      readonly totalSteps: number;
      /** Steps committed before, on resume. */
      readonly firstStep: number;
      readonly samplesPerEpoch: number;
    }
  | {
      readonly kind: 'worker';
      readonly change: 'joined' | 'ready' | 'silent' | 'quarantined' | 'refused' | 'left';
      readonly workerId: string;
      readonly host: string;
      /** Ready workers after the change. */
      readonly ready: number;
      readonly detail: string;
    }
  /** Work can't go on for want of workers; repeated every 10 s. */
  | { readonly kind: 'waiting'; readonly needed: number; readonly ready: number; readonly preparing: number; readonly message: string }
  | StepEvent
  /** Images of an evaluation done so far. */
  | {
      readonly kind: 'evaluation-progress';
      readonly attack: EvaluationName;
      readonly epsLinf: number;
      readonly done: number;
      readonly total: number;
    }
  | {
      readonly kind: 'evaluation';
      readonly step: number;
      readonly attack: EvaluationName;
      /** L-infinity radius in [0,1] pixel units, 0 for clean. */
      readonly epsLinf: number;
      readonly samples: number;
      /** Share of samples classified correctly (after the attack), 0..1. */
      readonly accuracy: number;
      readonly meanLoss: number;
      readonly seconds: number;
    }
  | { readonly kind: 'checkpoint'; readonly step: number; readonly path: string; readonly bytes: number; readonly seconds: number }
  | { readonly kind: 'finished'; readonly state: RunResult['state'] | 'failed'; readonly reason: string };

/** A committed step. */
export interface StepEvent {
  readonly kind: 'step';
  /** Committed steps, this one included. */
  readonly step: number;
  readonly totalSteps: number;
  /** Passes over the training set so far, with fraction. */
  readonly epoch: number;
  /** Training loss, regulariser included. */
  readonly loss: number;
  readonly learningRate: number;
  /** Global norm before clipping. */
  readonly gradientNorm: number;
  /** All finite training metrics by name, e.g. `accuracy`, `gfa/conv1/cosine`. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Over the last steps. */
  readonly samplesPerSecond: number;
  /** Wall time of the step, waiting for workers included. */
  readonly seconds: number;
  readonly readyWorkers: number;
}

export interface RobustResult {
  /** `worst-case`: correct under every attack of this radius, image by image; where there are several. */
  readonly attack: Exclude<EvaluationName, 'clean'> | 'worst-case';
  readonly epsLinf: number;
  /** Share of `samples` that is classified correctly before and after the attack, 0..1. */
  readonly accuracy: number;
  readonly samples: number;
  /** Of these, correct without attack. */
  readonly cleanCorrect: number;
}

/** What result.json holds. */
export interface RunResult {
  readonly state: 'completed' | 'stopped';
  readonly runId: string;
  readonly runFolder: string;
  /** Committed steps. */
  readonly steps: number;
  /** Passes over the training set, with fraction. */
  readonly epochs: number;
  /** SHA-256 of the flat float32 parameter vector, little-endian, in schema order; empty when a run was stopped before it had one. */
  readonly weightsSha256: string;
  readonly weightsPath: string;
  /** On the whole test set with the final weights; null when the run was stopped before. */
  readonly cleanAccuracy: number | null;
  readonly robust: readonly RobustResult[];
  /** Training samples of this process per second of training steps, without waits for workers, evaluations and checkpoints. */
  readonly samplesPerSecond: number;
  /** Engine fingerprint. */
  readonly engine: string;
  readonly dataset: string;
  readonly datasetHash: string;
  /** Wall time of this process from start to result. */
  readonly seconds: number;
  readonly workers: {
    /** Workers that became ready, returning ones counted again. */
    readonly joined: number;
    /** Workers that left before the end. */
    readonly left: number;
    readonly leasesExpired: number;
    readonly answersRefused: number;
  };
  /** Where the workers' time went, over all processes of the run. */
  readonly goodput: GoodputReport;
  readonly config: Config;
  /** Where the run went on from, when it didn't begin with parameters from its seed. */
  readonly forkedFrom?: ForkPoint;
}

/** The state of another run that a run began with. */
export interface ForkPoint {
  readonly runId: string;
  /** Committed steps in it. */
  readonly step: number;
  /** SHA-256 of the flat parameter vector. */
  readonly parametersSha256: string;
}
