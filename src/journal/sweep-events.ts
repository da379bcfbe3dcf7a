/**
 * @file The events of a sweep. Its state is a fold over them: the decisions follow from the definition and from the measurements, and
 * stand here so that they need not be computed again and can be checked.
 */

/** First event of a sweep folder. */
export interface SweepStarted {
  readonly type: 'sweep-started';
  /** See SWEEP_FORMAT. Older versions left it out. */
  readonly format?: number;
  readonly sweepId: string;
  readonly packageVersion: string;
  /** The resolved sweep file. */
  readonly sweep: Readonly<Record<string, unknown>>;
  /** Keys of the training config that trials start from. */
  readonly base: unknown;
  readonly datasetName: string;
  /** SHA-256 of the dataset's records; empty for a test function. */
  readonly datasetHash: string;
}

/** A coordinator process took over. */
export interface SweepOpened {
  readonly type: 'sweep-opened';
  /** Rises by one with each process. */
  readonly generation: number;
}

/** A new candidate. */
export interface CandidateChosen {
  readonly type: 'candidate-chosen';
  readonly candidate: number;
  readonly point: readonly number[];
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Ids of its trials by seed. */
  readonly trials: readonly string[];
  /** Suggestions refused in the sweep so far. */
  readonly refused: number;
  /** Of a fork: the candidate whose weights of this rung it goes on with. */
  readonly parent?: { readonly candidate: number; readonly rung: number };
}

/** A trial was measured on a rung, or has failed for good. */
export interface TrialMeasured {
  readonly type: 'trial-measured';
  /** Id of the trial. */
  readonly trial: string;
  readonly candidate: number;
  readonly seedIndex: number;
  readonly rung: number;
  /** One per objective in its own sense; null when the trial failed. */
  readonly values: readonly number[] | null;
  readonly details: Readonly<Record<string, number>>;
  readonly flags: readonly string[];
  readonly seconds: number;
  readonly worker: string;
  readonly engine: string;
  /** Epoch of the claim under which it was committed. */
  readonly epoch: number;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Somebody asked for it. */
export interface SweepControlled {
  readonly type: 'sweep-controlled';
  /** `limit`: no new candidates, because the time is up. */
  readonly action: 'pause' | 'resume' | 'extend' | 'limit' | 'priority';
  /** extend: candidates of the whole sweep from now on. */
  readonly candidates?: number;
  /** priority: share of the workers' time from now on. */
  readonly priority?: number;
}

/**
 * Failed trials are tried again. Their measurements are void, and all decisions are made anew: the same as long as they don't depend on
 * the failures; measurements of trials that are chosen again are kept.
 */
export interface FailedRetried {
  readonly type: 'failed-retried';
  readonly from: 'checkpoint' | 'scratch';
  /** Names of the measurements, `TRIAL.RUNG`. */
  readonly measurements: readonly string[];
}

/** Last event of a sweep, or of a part of it before a resume. */
export interface SweepFinished {
  readonly type: 'sweep-finished';
  readonly state: 'completed' | 'stopped' | 'failed';
  readonly reason: string;
  /** SHA-256 over all decisions and counted outcomes in their order. */
  readonly decisionsSha256: string;
}

export type SweepEvent = SweepStarted | SweepOpened | CandidateChosen | TrialMeasured | SweepControlled | FailedRetried | SweepFinished;
