/** @file What the parts of a run share. */
import type { Config } from '../config/index.ts';
import type { CoordinatorMetrics, Logger, Traces, TraceSpan } from '../telemetry/index.ts';
import type { TensorSpec, VectorMath } from '../core/index.ts';
import type { Optimizer } from '../optimizers/index.ts';
import type { VectorPool } from '../wire/index.ts';
import type { CheckpointFolder } from './checkpoint-folder.ts';
import type { Ledger } from './ledger.ts';
import type { ParameterSnapshot } from './parameter-snapshot.ts';
import type { RunEvent } from './run-events.ts';
import type { RunPlan } from './run-plan.ts';
import type { StopControl } from './stop-control.ts';
import type { WorkerPool } from './worker-pool.ts';

/** What a run changes as it goes. Parameters and optimiser are always those after `step` steps. */
export interface TrainingState {
  step: number;
  parameters: Float32Array;
  readonly optimizer: Optimizer;
  /** Clean accuracy of exactly these parameters, where it was measured. */
  cleanAccuracy: number | null;
  /** Path of the last checkpoint, for diagnoses. */
  lastCheckpoint: string | undefined;
  /** Committed steps of the last checkpoint. */
  lastCheckpointStep: number | undefined;
  /** Monotonic time of the last checkpoint, or of the start, and what it cost. */
  lastCheckpointAtMs: number;
  lastCheckpointSeconds: number;
  /** Samples and seconds of the steps of this process, waits for workers left out. */
  trainedSamples: number;
  trainedSeconds: number;
}

export interface RunContext {
  readonly config: Config;
  readonly runId: string;
  readonly specs: readonly TensorSpec[];
  readonly parameterCount: number;
  /** Elements of the vectors that travel: the parameters, with local steps also the state that is averaged. */
  readonly vectorLength: number;
  /** Computes on the parameters, the optimiser's state and the gradients, all of which lie in its memory. */
  readonly math: VectorMath;
  /** Gradient vectors, used again from step to step. */
  readonly vectors: VectorPool;
  readonly testSamples: number;
  readonly datasetHash: string;
  readonly plan: RunPlan;
  readonly state: TrainingState;
  readonly pool: WorkerPool<ParameterSnapshot>;
  readonly ledger: Ledger;
  readonly checkpoints: CheckpointFolder;
  readonly metrics: CoordinatorMetrics;
  readonly logger: Logger;
  readonly traces: Traces;
  /** Trace of the run as a whole. */
  readonly span: TraceSpan;
  readonly stop: StopControl;
  /** Tells watchers of what happens besides the run's own progress. */
  readonly emit: (event: RunEvent) => void;
}
