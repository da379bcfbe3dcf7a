/** @file What all attacks have in common: what they get, what they find, and where their randomness comes from. */
import { Random } from '../core/index.ts';
import type { Classifier } from './classifier.ts';
import { IMAGE_VALUES } from './classifier.ts';

/** Images to attack; arrays have one row per sample. */
export interface Samples {
  readonly count: number;
  /** [count,32,32,3] float32 in [0,1]; left as they are. */
  readonly images: Float32Array;
  /** [count] */
  readonly labels: Int32Array;
}

/**
 * One attack with its settings.
 * @returns [count,32,32,3] the attacked images: misclassified ones where the attack found them, else its last or the clean ones
 */
export type Attack = (classifier: Classifier, samples: Samples, random: AttackRandom) => Promise<Float32Array>;

/** A stream of random numbers; {@link Random} is one. */
export interface Stream {
  /** In [0,1). */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
}

/** Randomness of an attack: a function of the sample and of what it is for, never of the batch or of the order of the samples. */
export interface AttackRandom {
  /** @param row of the batch. @param purpose keeps the streams of a sample apart, e.g. restarts. */
  stream(row: number, purpose: number): Stream;
}

/** Streams that depend on the seed and on each sample's index in its set alone. */
export function sampleRandom(seed: number, firstIndex: number): AttackRandom {
  return { stream: (row, purpose) => new Random('evaluation', seed, firstIndex + row, purpose) };
}

/** The same streams for images that lie anywhere in their set: row r is the image with index `indices[r]`. */
export function sampleRandomOf(seed: number, indices: ArrayLike<number>): AttackRandom {
  return { stream: (row, purpose) => new Random('evaluation', seed, indices[row] as number, purpose) };
}

/** [32,32,3] uniform in [-1,1), in the order of the array. */
export function uniformField(stream: Stream): Float32Array {
  return Float32Array.from({ length: IMAGE_VALUES }, () => 2 * stream.uniform() - 1);
}

/** A copy of one row. */
export function imageOf({ images }: Pick<Samples, 'images'>, row: number): Float32Array {
  return images.slice(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES);
}

/** Rows [32,32,3] as one array. */
export function joinImages(rows: readonly Float32Array[]): Float32Array {
  const images = new Float32Array(rows.length * IMAGE_VALUES);
  for (const [row, image] of rows.entries()) images.set(image, row * IMAGE_VALUES);
  return images;
}
