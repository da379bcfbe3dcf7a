/** @file The images of an evaluation: a fixed choice with equal shares of the classes. */
import { DeepDefenseError } from '../core/index.ts';
import { CLASS_COUNT, type ImageSet } from './dataset.ts';

/**
 * Indices of `samples` images: the first image of each class, then the second of each, and so on, in the order of the set. So each prefix
 * has equal shares of the classes, up to one image, and a smaller choice is the beginning of a larger one.
 * @throws DeepDefenseError USAGE when a class has too few images.
 */
export function stratifiedIndices({ count, labels }: ImageSet, samples: number): number[] {
  const byClass: number[][] = Array.from({ length: CLASS_COUNT }, () => []);
  for (let index = 0; index < count; index++) byClass[labels[index] as number]?.push(index);
  const smallest = Math.min(...byClass.map(({ length }) => length));
  // The classes in their order: those behind the remainder give one image less.
  const needed = (label: number) => Math.floor(samples / CLASS_COUNT) + (label < samples % CLASS_COUNT ? 1 : 0);
  const short = byClass.findIndex((own, label) => own.length < needed(label));
  if (short !== -1)
    throw new DeepDefenseError('USAGE', {
      what: `the test set has too few images for ${samples} samples`,
      expected: `at most ${smallest * CLASS_COUNT}, so that all classes have equal shares`,
      got: `${byClass[short]?.length ?? 0} images of class ${short}, ${count} in all`,
      todo: `give --samples ${smallest * CLASS_COUNT} or less`,
      fields: { samples, most: smallest * CLASS_COUNT },
    });
  return Array.from({ length: samples }, (_, i) => byClass[i % CLASS_COUNT]?.[Math.floor(i / CLASS_COUNT)] as number);
}
