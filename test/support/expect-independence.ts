/** @file The check that an attack treats an image the same alone and among others. */
import { expect } from 'vitest';
import { type Attack, type Classifier, IMAGE_VALUES, type Samples, sampleRandom } from '../../src/attacks/index.ts';

const FIRST = 9;
const COUNT = 3;

/**
 * Attacks all samples, then three of them by themselves, and compares bits.
 * @param options.firstIndex index of the first sample in its set, for the streams of random numbers
 * @param options.mustChange the three images don't come back as they were
 */
export async function expectIndependence(
  classifier: Classifier,
  samples: Samples,
  attacks: readonly Attack[],
  { firstIndex = 0, mustChange = false }: { readonly firstIndex?: number; readonly mustChange?: boolean } = {},
): Promise<void> {
  const range = [FIRST * IMAGE_VALUES, (FIRST + COUNT) * IMAGE_VALUES] as const;
  const few: Samples = { count: COUNT, images: samples.images.slice(...range), labels: samples.labels.slice(FIRST, FIRST + COUNT) };
  for (const attack of attacks) {
    const all = await attack(classifier, samples, sampleRandom(5, firstIndex));
    const own = await attack(classifier, few, sampleRandom(5, firstIndex + FIRST));
    expect(own).toEqual(all.slice(...range));
    // An attack that did nothing would be independent of everything; bounded ones may leave three images that withstand.
    expect(all).not.toEqual(samples.images);
    if (mustChange) expect(own).not.toEqual(few.images);
  }
}
