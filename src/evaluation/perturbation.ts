/** @file How far an attacked image is from its clean one, and whether an attack kept its promises. Sums are taken in float64. */
import type { Norm } from '../config/index.ts';
import { DeepDefenseError } from '../core/index.ts';

/** Sizes of one perturbation. */
export interface Perturbation {
  readonly linf: number;
  readonly l2: number;
  readonly l1: number;
  /** Mean squared change of a value. */
  readonly mse: number;
  /** Changed pixels, whichever of their channels. */
  readonly l0: number;
}

const CHANNELS = 3;

/** Sizes of `attacked - clean`; both [32,32,3]. */
export function measurePerturbation(clean: Float32Array, attacked: Float32Array): Perturbation {
  let [linf, squares, l1, l0] = [0, 0, 0, 0];
  for (let pixel = 0; pixel < clean.length; pixel += CHANNELS) {
    let changed = false;
    for (let i = pixel; i < pixel + CHANNELS; i++) {
      const change = Math.abs((attacked[i] as number) - (clean[i] as number));
      linf = Math.max(linf, change);
      squares += change * change;
      l1 += change;
      changed ||= change > 0;
    }
    if (changed) l0 += 1;
  }
  return { linf, l2: Math.sqrt(squares), l1, mse: squares / clean.length, l0 };
}

/** An attack may be this far outside for reasons of its own arithmetic. */
const TOLERANCE = 1e-6;
/** Largest error of a float32 value in [0,1]. */
const ROUNDING = 2 ** -24;

/** What float32 rounding of n values can add to each norm. */
const ROUNDING_OF: Readonly<Record<Norm, (values: number) => number>> = {
  linf: () => ROUNDING,
  l2: (values) => Math.sqrt(values) * ROUNDING,
  l1: (values) => values * ROUNDING,
  l0: () => 0,
};

/**
 * Checks that an attacked image is an image, and within the radius.
 * @param radius the attack's norm and radius; undefined where it has none
 * @throws DeepDefenseError INTERNAL: the attack has a bug. Clipping would hide it.
 */
export function checkAttacked(
  clean: Float32Array,
  attacked: Float32Array,
  radius: { readonly norm: Norm; readonly eps: number } | undefined,
  label: string,
): void {
  const outside = attacked.find((value) => !(value >= 0 && value <= 1));
  if (outside !== undefined) throw broken(label, 'values in [0,1]', String(outside));
  if (radius === undefined) return;
  const { norm, eps } = radius;
  const size = measurePerturbation(clean, attacked)[norm];
  if (size > eps + TOLERANCE + ROUNDING_OF[norm](clean.length)) throw broken(label, `${norm} distance of at most ${eps}`, String(size));
}

function broken(label: string, expected: string, got: string): DeepDefenseError {
  return new DeepDefenseError('INTERNAL', { what: `${label} returned an image that it may not return`, expected, got });
}
