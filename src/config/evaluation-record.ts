/**
 * @file What `deepdefense evaluate` finds out, as plain data: the content of evaluation.json. Types only, here so that reports
 * and the coordinator can use them without a tensor package.
 */
import type { AttackSpec } from './attack-spec.ts';

/** One network that was evaluated. */
export interface EvaluatedModel {
  /** Unique among the models; what tables call it, e.g. `deep` or `deep-2`. */
  readonly label: string;
  /** The run folder or weights file. */
  readonly source: string;
  readonly strategy: string;
  readonly model: string;
  readonly inputRange: 'unit' | 'signed';
  /** Training loss; attacks on another loss may mislead. */
  readonly loss: string;
  readonly seed: number;
  readonly weightsSha256: string;
  /** Seconds and samples per second of the training, where known. */
  readonly training?: { readonly seconds: number; readonly epochs: number; readonly samplesPerSecond: number; readonly workers: number };
  /** The resolved config of the training. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Distances of the images that a minimum-norm attack returned; one entry per image, null where it found no misclassified one. */
export interface Distances {
  readonly linf: readonly (number | null)[];
  readonly l2: readonly (number | null)[];
  readonly l1: readonly (number | null)[];
  /** Mean squared error per value. */
  readonly mse: readonly (number | null)[];
  /** Changed pixels (any channel). */
  readonly l0: readonly (number | null)[];
}

/** One attack on one network, at one radius or for the nearest image. */
export interface AttackResult {
  /** Index into {@link EvaluationRecord.models}. */
  readonly model: number;
  /** Index into {@link EvaluationRecord.attacks}; -1 = no attack (clean). */
  readonly attack: number;
  /** Radius in [0,1] pixel units of the attack's norm; null for clean and for minimum-norm attacks. */
  readonly eps: number | null;
  /** One character per image in the order of {@link EvaluationRecord.images}: `1` = correct before and after the attack, else `0`. */
  readonly correct: string;
  /** Of minimum-norm attacks. */
  readonly distances?: Distances;
  /** Images looked at by the network, forward only and with gradients, summed over the images. */
  readonly queries: { readonly forward: number; readonly gradient: number };
  /** Pure computation, summed over workers. */
  readonly seconds: number;
}

/** Images made against one network, tried on another. */
export interface TransferResult {
  readonly source: number;
  readonly target: number;
  readonly attack: number;
  readonly eps: number;
  /** As {@link AttackResult.correct}, of the target on the images that the attack made against the source. */
  readonly correct: string;
}

/** Measurements on one network that tell robustness from masked gradients; see docs/red-flags.md. Means and medians are over the images. */
export interface MaskingDiagnostics {
  readonly model: number;
  /** Images measured: the first so many of the evaluation. */
  readonly samples: number;
  /** Of the cross-entropy with respect to the image: median |g|, share of images with |g| < 1e-8, mean share of exact zeros among the values. */
  readonly gradientNorm: { readonly median: number; readonly zeroShare: number; readonly zeroValues: number };
  /** Mean over the images of the share of values whose gradient has the image's majority sign: 0.5 = none, 1 = a mere shift of brightness. */
  readonly majoritySign: number;
  /** Median of max_k z_k - min_k z_k, largest |z|, median of the largest probability. */
  readonly logits: { readonly medianRange: number; readonly largest: number; readonly medianConfidence: number };
  /** Share of images whose outputs look like probabilities (all >= 0, sum 1). */
  readonly probabilityOutputs: number;
  /** Largest difference of the logits between two runs of the same batch; 0 = deterministic. */
  readonly nondeterminism: number;
  /** At distance eps: median cosine between gradient at the image and at a random point of the ball; median |linear prediction - true change| / |true change| of the loss. */
  readonly localLinearity: { readonly eps: number; readonly gradientCosine: number; readonly error: number };
  /**
   * Mean cross-entropy at distances (L2 norms of the perturbation) along directions: `gradient`, `radial` (along the image), `tangential`
   * (the gradient without its radial part), `random`.
   */
  readonly directions: readonly {
    readonly name: 'gradient' | 'radial' | 'tangential' | 'random';
    readonly distances: readonly number[];
    readonly loss: readonly number[];
  }[];
  /** Mean cosine between image and gradient, of the cross-entropy, of the squared error, and of z_t - z_y for each rank t of the other logits. */
  readonly alignment: { readonly crossEntropy: number; readonly mse: number; readonly targets: readonly number[] };
}

/** Everything that was measured, with what is needed to do it again. */
export interface EvaluationRecord {
  readonly format: 'deepdefense-evaluation/1';
  readonly createdAt: string;
  /** As typed. */
  readonly command: string;
  readonly packageVersion: string;
  readonly engine: string;
  readonly hardware: string;
  readonly workers: number;
  readonly seed: number;
  readonly dataset: string;
  readonly datasetHash: string;
  /** Indices into the test set, and their labels: stratified, the same for all models. */
  readonly images: { readonly index: readonly number[]; readonly label: readonly number[] };
  /** True when only images that all models classify correctly were attacked, as the paper does; accuracies then say nothing about clean errors. */
  readonly onlyCorrectByAll: boolean;
  readonly models: readonly EvaluatedModel[];
  readonly attacks: readonly AttackSpec[];
  /** Radii by norm, ascending, in [0,1] pixel units. */
  readonly eps: Readonly<Partial<Record<string, readonly number[]>>>;
  readonly results: readonly AttackResult[];
  readonly transfer: readonly TransferResult[];
  readonly diagnostics: readonly MaskingDiagnostics[];
  readonly wallSeconds: number;
}
