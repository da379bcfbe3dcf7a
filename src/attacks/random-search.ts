/** @file Random search on the margin, as both Square attacks do it: a candidate replaces the best image where the margin falls. */
import { type Attack, imageOf, joinImages, type AttackRandom } from './attack.ts';
import { correctRows, logitMargin, type Look, type Search, searchByLogits } from './search.ts';

/** Where candidates come from. */
export interface Proposals {
  readonly start: Float32Array;
  /** Turns `next`, a copy of the best image, into candidate number `query`, from 0. */
  change(next: Float32Array, query: number): void;
}

/** See the file's header; ends when the margin is 0 or less. */
class RandomSearch implements Search<Look> {
  readonly label: number;
  image: Float32Array;
  /** Best image so far, and its margin z_y - max z_k. */
  best: Float32Array;
  bestMargin = Number.POSITIVE_INFINITY;
  readonly #proposals: Proposals;
  readonly #queries: number;
  /** Candidates tried; -1 before the start was seen. */
  #tried = -1;

  constructor(label: number, proposals: Proposals, queries: number) {
    this.label = label;
    this.image = proposals.start;
    this.best = proposals.start;
    this.#proposals = proposals;
    this.#queries = queries;
  }

  get done(): boolean {
    return this.bestMargin <= 0 || this.#tried >= this.#queries;
  }

  observe({ logits }: Look): void {
    const margin = logitMargin(logits, this.label);
    let next = this.image;
    if (margin < this.bestMargin || margin <= 0) {
      // The former best one makes room for the next candidate.
      next = this.best === this.image ? new Float32Array(this.image.length) : this.best;
      this.best = this.image;
      this.bestMargin = margin;
    }
    this.#tried += 1;
    if (this.done) return;
    next.set(this.best);
    this.#proposals.change(next, this.#tried);
    this.image = next;
  }
}

/**
 * Samples that are misclassified to begin with are returned as they are, those that withstand too.
 * @param queries looks after the start
 * @param proposalsFor of a clean image and its row
 */
export function randomSearch(queries: number, proposalsFor: (clean: Float32Array, row: number, random: AttackRandom) => Proposals): Attack {
  return async (classifier, samples, random) => {
    const results = Array.from({ length: samples.count }, (_, row) => imageOf(samples, row));
    const open = await correctRows(classifier, samples);
    const searches = open.map(
      (row) => new RandomSearch(samples.labels[row] as number, proposalsFor(results[row] as Float32Array, row, random), queries),
    );
    await searchByLogits(classifier, searches);
    for (const [index, row] of open.entries()) {
      const search = searches[index];
      if (search !== undefined && search.bestMargin <= 0) results[row] = search.best;
    }
    return joinImages(results);
  };
}

/** After so many of 10 000 queries the windows have half the pixels they had before (Andriushchenko et al. 2020). */
const HALVED_AFTER = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];
const SCHEDULED_QUERIES = 10_000;

export interface WindowSchedule {
  readonly queries: number;
  /** Share of the pixels in the first windows. */
  readonly firstShare: number;
  /** Shrinks the windows by the share of queries that are over instead of by their number (made for 10 000 queries). */
  readonly rescaled: boolean;
}

/** Share of the pixels that a window has. */
export function windowShare(query: number, { queries, firstShare, rescaled }: WindowSchedule): number {
  const at = rescaled ? Math.trunc((query / queries) * SCHEDULED_QUERIES) : query;
  return firstShare / 2 ** HALVED_AFTER.filter((after) => at > after).length;
}
