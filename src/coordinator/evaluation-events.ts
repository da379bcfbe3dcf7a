/** @file What an evaluation tells whoever watches it, and its result. */
import type { AttackPass } from './attack-units.ts';
import type { RunEvent } from './run-events.ts';

export type EvaluationEvent =
  | Extract<RunEvent, { kind: 'worker' | 'waiting' }>
  /** Units that an earlier call has finished, of all. */
  | { readonly kind: 'started'; readonly finishedBefore: number; readonly units: number; readonly images: number }
  | {
      readonly kind: 'progress';
      readonly finished: number;
      readonly units: number;
      /** Share of the work that is done, by estimate, 0..1. */
      readonly share: number;
      /** The same of what was done before this call. */
      readonly shareBefore: number;
      /** Attacked images of this call so far. */
      readonly images: number;
    }
  | { readonly kind: 'pass'; readonly pass: AttackPass; readonly accuracy: number; readonly images: number };

/** One network under one attack at one radius, all images. */
export interface FinishedPass extends AttackPass {
  /** One character per image: `1` = correct before and after the attack, else `0`. */
  readonly correct: string;
  /** The same for each target. */
  readonly targetCorrect: readonly string[];
  /** Of minimum-norm attacks: [linf, l2, l1, mse, l0] per image, null where no misclassified image was found. */
  readonly distances?: readonly (readonly number[] | null)[];
  readonly queries: { readonly forward: number; readonly gradient: number };
  /** Pure computation, summed over workers. */
  readonly seconds: number;
}

export interface EvaluationOutcome {
  readonly state: 'completed' | 'stopped';
  /** Indices into the test set of the images that were attacked. */
  readonly images: readonly number[];
  /** Those that are complete: clean first, then the attacks in their order, by network and radius. */
  readonly passes: readonly FinishedPass[];
  /** Measurements as JSON, by network; only those that are complete. */
  readonly diagnoses: readonly { readonly network: number; readonly json: string }[];
  readonly engineFingerprint: string;
  /** Workers that took part in this call. */
  readonly workers: number;
  /** Of this call. */
  readonly seconds: number;
}
