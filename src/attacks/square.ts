/**
 * @file Square Attack, L-infinity (Andriushchenko, Croce, Flammarion and Hein, ECCV 2020, arXiv 1912.00049, algorithms 1 and 2): random search
 * that changes one square at a time and sees logits only. Gradient masking doesn't help against it.
 */
import { type Attack, imageOf, joinImages, type Stream } from './attack.ts';
import { Ball } from './ball.ts';
import { CHANNELS, HEIGHT, WIDTH } from './classifier.ts';
import { logitMargin, type Look, type Search, searchByLogits } from './search.ts';

export interface SquareOptions {
  /** L-infinity radius in [0,1] pixel units. */
  readonly eps: number;
  /** Looks after the start; default 5000, as in AutoAttack. */
  readonly queries?: number;
  /** Share of the pixels in the first squares; default 0.8. */
  readonly firstShare?: number;
  /** Shrinks the squares by the share of queries that are over instead of by their number (made for 10 000 queries). Default false, as in AutoAttack. */
  readonly rescaled?: boolean;
  /** Where the randomness of a sample comes from; default its own stream. */
  readonly draws?: (stream: Stream, row: number) => SquareDraws;
}

/** What the attack draws. */
export interface SquareDraws {
  /** [channels * columns] of signs: the stripes of the start. */
  stripes(): ArrayLike<number>;
  /** The corner of a square of `side` pixels, and one sign per channel. */
  square(query: number, side: number): { readonly row: number; readonly column: number; readonly signs: readonly number[] };
}

const signOf = (uniform: number): number => Math.sign(2 * uniform - 1);

function streamDraws(stream: Stream): SquareDraws {
  return {
    stripes: () => Float32Array.from({ length: CHANNELS * WIDTH }, () => signOf(stream.uniform())),
    square: (_, side) => ({
      // As in the reference implementation, the last place is never drawn.
      row: Math.trunc((HEIGHT - side) * stream.uniform()),
      column: Math.trunc((WIDTH - side) * stream.uniform()),
      signs: Array.from({ length: CHANNELS }, () => signOf(stream.uniform())),
    }),
  };
}

/** After so many of 10 000 queries the squares have half the pixels they had before. */
const HALVED_AFTER = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];
const SCHEDULED_QUERIES = 10_000;

type Settings = Required<Pick<SquareOptions, 'queries' | 'firstShare' | 'rescaled'>>;

class SquareSearch implements Search<Look> {
  readonly label: number;
  image: Float32Array;
  /** Best image so far, and its margin z_y - max z_k. */
  best: Float32Array;
  bestMargin = Number.POSITIVE_INFINITY;
  readonly #ball: Ball;
  readonly #draws: SquareDraws;
  readonly #settings: Settings;
  /** Squares tried; -1 before the start was seen. */
  #tried = -1;
  /** For the next candidate. */
  #spare: Float32Array = new Float32Array(0);

  constructor(ball: Ball, label: number, draws: SquareDraws, settings: Settings) {
    this.label = label;
    this.#ball = ball;
    this.#draws = draws;
    this.#settings = settings;
    const stripes = draws.stripes();
    this.image = ball.clean.map((value, i) => {
      const channel = i % CHANNELS;
      const column = Math.trunc(i / CHANNELS) % WIDTH;
      return Math.min(Math.max(value + ball.eps * (stripes[channel * WIDTH + column] as number), 0), 1);
    });
    this.best = this.image;
  }

  get done(): boolean {
    return this.bestMargin <= 0 || this.#tried >= this.#settings.queries;
  }

  observe({ logits }: Look): void {
    const margin = logitMargin(logits, this.label);
    if (margin < this.bestMargin || margin <= 0) {
      // The former best one makes room for the next candidate.
      [this.best, this.#spare] = [this.image, this.best === this.image ? new Float32Array(this.image.length) : this.best];
      this.bestMargin = margin;
    } else this.#spare = this.image;
    this.#tried += 1;
    if (!this.done) this.image = this.#candidate(this.#tried);
  }

  #candidate(query: number): Float32Array {
    const { eps, low, high } = this.#ball;
    const side = Math.max(Math.round(Math.sqrt(this.#share(query) * HEIGHT * WIDTH)), 1);
    const { row, column, signs } = this.#draws.square(query, side);
    const next = this.#spare;
    next.set(this.best);
    for (let y = row; y < row + side; y++)
      for (let x = column; x < column + side; x++)
        for (let channel = 0; channel < CHANNELS; channel++) {
          const i = (y * WIDTH + x) * CHANNELS + channel;
          const value = (next[i] as number) + 2 * eps * (signs[channel] as number);
          next[i] = Math.min(Math.max(value, low[i] as number), high[i] as number);
        }
    return next;
  }

  #share(query: number): number {
    const { queries, firstShare, rescaled } = this.#settings;
    const at = rescaled ? Math.trunc((query / queries) * SCHEDULED_QUERIES) : query;
    return firstShare / 2 ** HALVED_AFTER.filter((after) => at > after).length;
  }
}

/** Samples that are misclassified to begin with are returned as they are, those that withstand too. */
export function square({ eps, queries = 5000, firstShare = 0.8, rescaled = false, draws = streamDraws }: SquareOptions): Attack {
  return async (classifier, samples, random) => {
    const results = Array.from({ length: samples.count }, (_, row) => imageOf(samples, row));
    const { classes } = classifier;
    const logits = await classifier.logits(samples);
    const open = results.flatMap((_, row) => {
      const own = logits.subarray(row * classes, (row + 1) * classes);
      return logitMargin(own, samples.labels[row] as number) > 0 ? [row] : [];
    });
    const searches = open.map(
      (row) =>
        new SquareSearch(
          new Ball('linf', results[row] as Float32Array, eps),
          samples.labels[row] as number,
          draws(random.stream(row, 0), row),
          { queries, firstShare, rescaled },
        ),
    );
    await searchByLogits(classifier, searches);
    for (const [index, row] of open.entries()) {
      const search = searches[index];
      if (search !== undefined && search.bestMargin <= 0) results[row] = search.best;
    }
    return joinImages(results);
  };
}
