/** @file Accuracies and how far a sample of images determines them. */

/** 97.5 % quantile of the standard normal distribution: intervals have 95 % coverage. */
const Z_95 = 1.959963984540054;

export interface Accuracy {
  readonly correct: number;
  readonly samples: number;
  /** correct / samples; 0 for no samples. */
  readonly accuracy: number;
  /** 95 % Wilson interval. */
  readonly low: number;
  readonly high: number;
}

/** Accuracy over images; each value is 1 (correct) or 0. */
export function accuracyOf(correct: ArrayLike<number>): Accuracy {
  let sum = 0;
  for (let i = 0; i < correct.length; i++) sum += correct[i] as number;
  const [low, high] = wilsonInterval(sum, correct.length);
  return { correct: sum, samples: correct.length, accuracy: correct.length === 0 ? 0 : sum / correct.length, low, high };
}

/**
 * 95 % score interval of a proportion (Wilson 1927, JASA 22, 209-212); behaves at 0 and 1, where the normal approximation fails.
 * @returns [low, high] in [0,1]; [0,1] without samples
 */
export function wilsonInterval(correct: number, samples: number): [number, number] {
  if (samples === 0) return [0, 1];
  const p = correct / samples;
  const z2 = Z_95 * Z_95;
  const centre = p + z2 / (2 * samples);
  const half = Z_95 * Math.sqrt((p * (1 - p)) / samples + z2 / (4 * samples * samples));
  const scale = 1 + z2 / samples;
  return [Math.max(0, (centre - half) / scale), Math.min(1, (centre + half) / scale)];
}
