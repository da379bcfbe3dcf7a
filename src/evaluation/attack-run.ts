/** @file One attack on some test images of one network, with a judgement of its result that doesn't rely on the attack. */
import { type Classifier, createAttack, IMAGE_VALUES, isMisclassified, type Samples, sampleRandomOf } from '../attacks/index.ts';
import { type AttackSpec, describeAttack, formatAttackSpec } from '../config/index.ts';
import { DeepDefenseError } from '../core/index.ts';
import { fillTestBatch, type ImageSet } from '../data/index.ts';
import { CountingClassifier } from './counting-classifier.ts';
import { checkAttacked, measurePerturbation, type Perturbation } from './perturbation.ts';

/** Images of a set by their indices, in the order of the indices. */
export function pickSamples(set: ImageSet, indices: ArrayLike<number>): Samples {
  const count = indices.length;
  const samples = { count, images: new Float32Array(count * IMAGE_VALUES), labels: new Int32Array(count) };
  for (let row = 0; row < count; row++)
    fillTestBatch(
      set,
      indices[row] as number,
      1,
      samples.images.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES),
      samples.labels.subarray(row, row + 1),
    );
  return samples;
}

/** 1 per image that is classified correctly; an image whose logits aren't numbers is not. */
export async function classifiedCorrectly(classifier: Classifier, { count, images, labels }: Samples): Promise<Uint8Array> {
  const { classes } = classifier;
  const logits = await classifier.logits({ count, images });
  return Uint8Array.from({ length: count }, (_, row) =>
    isMisclassified(logits.subarray(row * classes, (row + 1) * classes), labels[row] as number) ? 0 : 1,
  );
}

export interface AttackRunOptions {
  readonly classifier: Classifier;
  readonly samples: Samples;
  /** Index of each sample in the test set; the attack's randomness is keyed by it. */
  readonly indices: ArrayLike<number>;
  /** Undefined = no attack. */
  readonly spec: AttackSpec | undefined;
  /** Radius in [0,1] pixel units; without meaning for minimum-norm attacks. */
  readonly eps: number;
  readonly seed: number;
}

export interface AttackRun {
  /** [count]: 1 = correct before and after the attack. */
  readonly correct: Uint8Array;
  /** [count,32,32,3]: what the attack returned. */
  readonly images: Float32Array;
  /** Of minimum-norm attacks: the distance to each misclassified image, 0 for images that are wrong as they are, undefined where none was found. */
  readonly distances: readonly (Perturbation | undefined)[] | undefined;
  /** Images that the attack looked at. */
  readonly queries: { readonly forward: number; readonly gradient: number };
}

/**
 * Attacks the samples and judges the returned images afresh. A result of a sample depends on nothing but the network, the sample, its
 * index, the attack and the seed.
 * @throws DeepDefenseError INTERNAL when the attack breaks its bounds.
 */
export async function runAttack({ classifier, samples, indices, spec, eps, seed }: AttackRunOptions): Promise<AttackRun> {
  const before = await classifiedCorrectly(classifier, samples);
  if (spec === undefined) {
    return { correct: before, images: samples.images, distances: undefined, queries: { forward: samples.count, gradient: 0 } };
  }
  const bounded = describeAttack(spec.name).kind === 'bounded';
  const counting = new CountingClassifier(classifier);
  const images = await createAttack(spec, eps)(counting, samples, sampleRandomOf(seed, indices));
  const label = formatAttackSpec(spec);
  if (images.length !== samples.images.length)
    throw new DeepDefenseError('INTERNAL', {
      what: `${label} returned another number of images`,
      expected: `${samples.images.length} values`,
      got: String(images.length),
    });
  const rowOf = (values: Float32Array, row: number) => values.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES);
  for (let row = 0; row < samples.count; row++)
    checkAttacked(rowOf(samples.images, row), rowOf(images, row), bounded ? { norm: spec.norm, eps } : undefined, label);
  const after = await classifiedCorrectly(classifier, { ...samples, images });
  return {
    correct: before.map((value, row) => value * (after[row] as number)),
    images,
    distances: bounded
      ? undefined
      : Array.from(before, (wasCorrect, row) => {
          const clean = rowOf(samples.images, row);
          if (wasCorrect === 0) return measurePerturbation(clean, clean);
          return after[row] === 0 ? measurePerturbation(clean, rowOf(images, row)) : undefined;
        }),
    queries: { forward: counting.forward, gradient: counting.gradient },
  };
}
