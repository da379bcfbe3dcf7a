/** @file What minimum-norm attacks share: they search from the images that are classified correctly and return the nearest misclassified ones. */
import { type Attack, imageOf, joinImages } from './attack.ts';
import type { Classifier } from './classifier.ts';
import { isMisclassified } from './search.ts';

/** Keeps the nearest misclassified image that was seen. */
export class Nearest {
  /** [32,32,3]; the clean image while nothing was found. */
  readonly image: Float32Array;
  /** Infinite while nothing was found. */
  distance = Number.POSITIVE_INFINITY;

  constructor(clean: Float32Array) {
    this.image = clean.slice();
  }

  /** Copies the image if it is nearer than the one before. */
  offer(image: Float32Array, distance: number): void {
    if (!(distance < this.distance)) return;
    this.distance = distance;
    this.image.set(image);
  }
}

/** The search of one sample for the nearest misclassified image. */
export interface NearestSearch {
  readonly nearest: Nearest;
}

/**
 * An attack of one search per sample. Samples that are misclassified to begin with are returned as they are and have no search.
 * @param create the search of a sample; `clean` [32,32,3] is its own copy
 * @param run drives the searches until all are done
 */
export function minimumNorm<S extends NearestSearch>(
  create: (clean: Float32Array, label: number) => S,
  run: (classifier: Classifier, searches: readonly S[]) => Promise<void>,
): Attack {
  return async (classifier, samples) => {
    const { classes } = classifier;
    const logits = await classifier.logits(samples);
    const searches: S[] = [];
    const results = Array.from({ length: samples.count }, (_, row) => {
      const clean = imageOf(samples, row);
      const label = samples.labels[row] as number;
      if (isMisclassified(logits.subarray(row * classes, (row + 1) * classes), label)) return clean;
      const search = create(clean, label);
      searches.push(search);
      return search.nearest.image;
    });
    await run(classifier, searches);
    return joinImages(results);
  };
}
