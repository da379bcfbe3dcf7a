/** @file What a sweep leaves: the document behind `sweep results`, the report and --json (sweep.json in its folder). */

/** A value of a parameter as the config has it. */
export type ParameterValue = string | number | boolean | readonly (string | number | boolean)[];

/** One objective of a sweep. */
export interface ObjectiveRecord {
  /** e.g. `clean-accuracy`, `robust-accuracy at 4/255`. */
  readonly name: string;
  readonly goal: 'maximize' | 'minimize';
  /** `share` (0..1), `million passes` or `` (a test function's value). */
  readonly unit: string;
}

/** One measurement of a candidate with one seed on one rung. */
export interface MeasurementRecord {
  readonly seed: number;
  /** From 0. */
  readonly rung: number;
  /** Epochs trained at the measurement. */
  readonly epochs: number;
  /** One value per objective, in their own sense and unit; undefined when the trial failed. */
  readonly values: readonly number[] | undefined;
  /** Further figures by name, e.g. accuracy under each attack. */
  readonly details: Readonly<Record<string, number>>;
  /** Signs of masked gradients, as sentences. */
  readonly flags: readonly string[];
  /** Wall time of the trial's part up to this measurement, since the one before. */
  readonly seconds: number;
  readonly worker: string;
  /** Of a failed trial: code and text of the last error. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** One candidate: a point of the space, trained with every seed. */
export interface CandidateRecord {
  /** From 0, in the order in which they were chosen. */
  readonly candidate: number;
  /**
   * Parameters by name in the order of the space; a vector of layer weights is one entry per layer, `strategy.gfa.weights.LAYER`
   * (0 where the layer is off). Parameters that a condition leaves out are missing.
   */
  readonly parameters: Readonly<Record<string, ParameterValue>>;
  /**
   * - `running`: work is under way or due;
   * - `paused`: measured, not promoted (yet);
   * - `stopped`: ended early by the scheduler;
   * - `completed`: measured on the highest rung;
   * - `failed`: a trial of it failed.
   */
  readonly state: 'running' | 'paused' | 'stopped' | 'completed' | 'failed';
  /** Why it was stopped or failed. */
  readonly reason: string;
  readonly measurements: readonly MeasurementRecord[];
  /** Ids of its trials, by seed: SHA-256 of resolved config and seed, and of the trial that it goes on from. */
  readonly trials: readonly string[];
  /** Of a fork: the candidate whose weights of this rung it goes on with. */
  readonly parent?: { readonly candidate: number; readonly rung: number };
}

/** A whole sweep, finished or not. */
export interface SweepRecord {
  readonly sweepId: string;
  readonly name: string;
  readonly state: 'running' | 'paused' | 'stopped' | 'completed' | 'failed';
  readonly packageVersion: string;
  readonly startedAt: string;
  /** Time of the last event. */
  readonly endedAt: string;
  readonly seed: number;
  readonly seeds: readonly number[];
  readonly mode: 'timing-invariant' | 'throughput';
  readonly lanes: number;
  readonly sampler: string;
  readonly scheduler: string;
  readonly rungs: readonly { readonly epochs: number; readonly attacks: readonly string[]; readonly robustSamples: number }[];
  readonly objectives: readonly ObjectiveRecord[];
  /** Names of all parameters, in the order of the space, with how each was drawn. */
  readonly parameters: readonly {
    readonly name: string;
    readonly scale: 'linear' | 'log' | 'category';
    readonly low?: number;
    readonly high?: number;
  }[];
  readonly candidates: readonly CandidateRecord[];
  /** Wall time of all trials, summed over workers. */
  readonly workerSeconds: number;
  /** Dataset's name, with its variant; empty for a test function. */
  readonly dataset: string;
  /** Engine fingerprints of the workers. */
  readonly engines: readonly string[];
  /** Model and strategy of the base config, or the test function. */
  readonly subject: string;
  /** Hash over all decisions and results in their order: equal for equal sweeps in timing-invariant mode. */
  readonly decisionsSha256: string;
}
