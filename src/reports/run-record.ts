/** @file One run as a report sees it: what result.json and the journal say, in one place. */

/** `unfinished` = the folder holds no result: the run is still going, or its coordinator died. */
export type RunState = 'completed' | 'stopped' | 'unfinished';

/** One committed training step. */
export interface StepRecord {
  /** Number of the step, from 0. */
  readonly step: number;
  readonly epoch: number;
  /** Total training loss, regularisers included. */
  readonly loss: number;
  readonly learningRate: number;
  /** Global L2 norm of the gradient before clipping. */
  readonly gradientNorm: number;
  /** All training metrics by name, e.g. `accuracy`, `lossTerm`, `gfa/conv1/cosine`. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** One measured accuracy. */
export interface EvaluationRecord {
  /** Committed steps before it. */
  readonly step: number;
  /** `clean`, `fgsm` or `pgd`. */
  readonly attack: string;
  /** L-infinity radius in [0,1] units; 0 for clean. */
  readonly epsLinf: number;
  /** Share of correct answers, in [0,1]. */
  readonly accuracy: number;
  /** Number of test images; 0 = not recorded. */
  readonly samples: number;
}

export interface RunRecord {
  readonly folder: string;
  readonly runId: string;
  readonly name: string;
  readonly state: RunState;
  readonly strategy: string;
  readonly model: string;
  readonly seed: number;
  /** Dataset with its variant, e.g. `CIFAR-10 (JPEG-75)`. */
  readonly dataset: string;
  readonly datasetHash: string;
  /** Fingerprint of the engine: name, versions, threads, processor features. */
  readonly engine: string;
  /** ISO 8601 time of the start; absent when not recorded. */
  readonly startedAt?: string;
  readonly seconds?: number;
  readonly samplesPerSecond?: number;
  readonly steps: number;
  readonly epochs: number;
  readonly weightsSha256?: string;
  /** What else was recorded about the environment: versions, hosts, hardware. */
  readonly environment: Readonly<Record<string, string>>;
  /** The resolved config. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly stepRecords: readonly StepRecord[];
  /** Clean accuracy during and after training, in order. */
  readonly cleanHistory: readonly EvaluationRecord[];
  /** Accuracies of the final weights: clean first, then by attack and eps. */
  readonly finalAccuracies: readonly EvaluationRecord[];
  /** What was wrong with the files but didn't prevent reading, for people. */
  readonly warnings: readonly string[];
}

/** Layers with GFA metrics, in order of appearance in the metrics. */
export function gfaLayers(run: RunRecord): readonly string[] {
  const layers = new Set<string>();
  for (const name of Object.keys(run.stepRecords[0]?.metrics ?? {})) {
    const match = /^gfa\/(.+)\/[^/]+$/.exec(name);
    if (match?.[1] !== undefined) layers.add(match[1]);
  }
  return [...layers];
}
