/** @file What a sweep tells whoever watches it. */

export type SweepProgress =
  /** New candidates; so many there are now. */
  | { readonly kind: 'chosen'; readonly candidates: number }
  | {
      readonly kind: 'measured';
      readonly candidate: number;
      readonly seed: number;
      readonly rung: number;
      /** One per objective in its own sense; null when the trial failed. */
      readonly values: readonly number[] | null;
      readonly error: { readonly code: string; readonly message: string } | undefined;
      /** Of the worker. */
      readonly seconds: number;
      /** Measurements of the sweep so far, this one included. */
      readonly measurements: number;
      readonly candidates: number;
      readonly budget: number;
    }
  /** A worker fell silent; its task is due again. */
  | { readonly kind: 'worker-lost'; readonly task: string; readonly worker: string }
  | { readonly kind: 'controlled'; readonly action: 'pause' | 'resume' | 'stop' | 'priority' };
