/** @file What minimum-norm attacks share: they search from the images that are classified correctly and return the nearest misclassified ones. */
import { type Attack, type AttackRandom, imageOf, joinImages } from './attack.ts';
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

/** What else a search may start from. */
export interface SearchStart {
  readonly row: number;
  /** [classes] of the clean image; its own copy. */
  readonly logits: Float32Array;
  readonly random: AttackRandom;
}

/**
 * An attack of one search per sample. Samples that are misclassified to begin with are returned as they are and have no search.
 * @param create the search of a sample; `clean` [32,32,3] is its own copy, `start` is for searches that need more
 * @param run drives the searches until all are done
 */
export function minimumNorm<S extends NearestSearch>(
  create: (clean: Float32Array, label: number, start: SearchStart) => S,
  run: (classifier: Classifier, searches: readonly S[]) => Promise<void>,
): Attack {
  return async (classifier, samples, random) => {
    const { classes } = classifier;
    const logits = await classifier.logits(samples);
    const searches: S[] = [];
    const results = Array.from({ length: samples.count }, (_, row) => {
      const clean = imageOf(samples, row);
      const label = samples.labels[row] as number;
      const own = logits.slice(row * classes, (row + 1) * classes);
      if (isMisclassified(own, label)) return clean;
      const search = create(clean, label, { row, logits: own, random });
      searches.push(search);
      return search.nearest.image;
    });
    await run(classifier, searches);
    return joinImages(results);
  };
}
