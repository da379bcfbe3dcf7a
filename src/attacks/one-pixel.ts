/**
 * @file One-pixel attack (Su, Vargas and Sakurai, IEEE TEVC 2019, arXiv 1710.08864): differential evolution over the places and colours of a
 * few pixels; sees logits only.
 */
import { DeepDefenseError } from '../core/index.ts';
import { type Attack, imageOf, joinImages, type Stream } from './attack.ts';
import { CHANNELS, HEIGHT, WIDTH } from './classifier.ts';
import { correctRows, isMisclassified, type Look, type Search, searchByLogits } from './search.ts';

export interface OnePixelOptions {
  /** The radius: pixels that may change, to any colour. A whole number, 0 to 1024. */
  readonly pixels: number;
  /** Candidates of a generation, at least 4; default 400. */
  readonly population?: number;
  /** Generations after the first, random one; default 100. */
  readonly generations?: number;
  /** F: the factor on the difference of two candidates; default 0.5. */
  readonly scale?: number;
}

/** Values of a candidate per pixel: row and column in [0,32), red, green and blue in [0,1]. */
const GENES = 2 + CHANNELS;

/**
 * The evolution of one sample, one look per candidate. Candidate i of the next generation is r1 + F (r2 - r3) of three different others,
 * without crossover, where it lowers the probability of the label below that of i, else i (sections 3.2 and 4.1). Ends at the first
 * misclassified image; the paper at a probability below 5 % also.
 */
class EvolutionSearch implements Search<Look> {
  readonly label: number;
  image: Float32Array;
  found = false;
  readonly #clean: Float32Array;
  readonly #stream: Stream;
  readonly #scale: number;
  readonly #generations: number;
  /** Candidates of this generation, and the logarithm of the label's probability with each. */
  #parents: Float64Array[];
  readonly #fitness: Float64Array;
  #children: Float64Array[] = [];
  #candidate: Float64Array;
  #generation = 0;
  #index = 0;

  constructor(clean: Float32Array, label: number, stream: Stream, { pixels, population, generations, scale }: Required<OnePixelOptions>) {
    this.label = label;
    this.#clean = clean;
    this.#stream = stream;
    this.#scale = scale;
    this.#generations = generations;
    this.#parents = Array.from({ length: population }, () => randomCandidate(pixels, stream));
    this.#fitness = new Float64Array(population);
    this.#candidate = this.#parents[0] as Float64Array;
    this.image = this.#paint();
  }

  get done(): boolean {
    return this.found || this.#generation > this.#generations;
  }

  observe({ logits }: Look): void {
    this.found = isMisclassified(logits, this.label);
    if (this.found) return;
    const fitness = logProbability(logits, this.label);
    const better = this.#generation === 0 || fitness < (this.#fitness[this.#index] as number);
    if (better) this.#fitness[this.#index] = fitness;
    this.#children.push(better ? this.#candidate : (this.#parents[this.#index] as Float64Array));
    this.#index += 1;
    if (this.#index === this.#parents.length) {
      this.#parents = this.#children;
      this.#children = [];
      this.#index = 0;
      this.#generation += 1;
    }
    if (this.done) return;
    this.#candidate = this.#generation === 0 ? (this.#parents[this.#index] as Float64Array) : this.#mutant();
    this.image = this.#paint();
  }

  /** Values that leave their range are brought back to its border. */
  #mutant(): Float64Array {
    const [first, second, third] = this.#others();
    return first.map((value, gene) => {
      const mutated = value + this.#scale * ((second[gene] as number) - (third[gene] as number));
      return Math.min(Math.max(mutated, 0), largestOf(gene));
    });
  }

  /** Three different candidates, none of them the one that is up. */
  #others(): [Float64Array, Float64Array, Float64Array] {
    const drawn = new Set([this.#index]);
    while (drawn.size < 4) drawn.add(Math.trunc(this.#parents.length * this.#stream.uniform()));
    const [, ...others] = [...drawn].map((index) => this.#parents[index] as Float64Array);
    return others as [Float64Array, Float64Array, Float64Array];
  }

  /** The clean image with the candidate's pixels. */
  #paint(): Float32Array {
    const image = this.#clean.slice();
    for (let at = 0; at < this.#candidate.length; at += GENES) {
      const [row, column, ...colour] = this.#candidate.subarray(at, at + GENES) as unknown as [number, number, ...number[]];
      image.set(colour, (Math.trunc(row) * WIDTH + Math.trunc(column)) * CHANNELS);
    }
    return image;
  }
}

/** The largest value of a gene; just below the side for places, as they are cut to whole pixels. */
function largestOf(gene: number): number {
  const kind = gene % GENES;
  if (kind >= 2) return 1;
  return (kind === 0 ? HEIGHT : WIDTH) - 1e-9;
}

/** Uniform places; colours normal with mean 128/255 and standard deviation 127/255, cut to [0,1] (section 4.1). */
function randomCandidate(pixels: number, stream: Stream): Float64Array {
  return Float64Array.from({ length: pixels * GENES }, (_, gene) => {
    if (gene % GENES < 2) return largestOf(gene) * stream.uniform();
    return Math.min(Math.max((128 + 127 * stream.normal()) / 255, 0), 1);
  });
}

/** ln softmax(z)_y: falls with the probability, but doesn't vanish where that is 1 in float32. */
function logProbability(logits: ArrayLike<number>, label: number): number {
  let sum = 0;
  for (let k = 0; k < logits.length; k++) sum += k === label ? 0 : Math.exp((logits[k] as number) - (logits[label] as number));
  return -Math.log1p(sum);
}

/**
 * See the file's header. Samples that are misclassified to begin with are returned as they are, those that withstand too.
 * @throws DeepDefenseError USAGE where `pixels` is no count, or the population too small.
 */
export function onePixel({ pixels, population = 400, generations = 100, scale = 0.5 }: OnePixelOptions): Attack {
  if (!Number.isInteger(pixels) || pixels < 0 || pixels > HEIGHT * WIDTH || population < 4)
    throw new DeepDefenseError('USAGE', {
      what: 'one-pixel has a wrong radius or population',
      expected: `as eps a whole number of pixels from 0 to ${HEIGHT * WIDTH}, and a population of at least 4`,
      got: `eps ${pixels}, population ${population}`,
      todo: 'its norm is l0: give the number of pixels, for example 1, 3 or 5',
    });
  return async (classifier, samples, random) => {
    const results = Array.from({ length: samples.count }, (_, row) => imageOf(samples, row));
    if (pixels === 0) return joinImages(results);
    const open = await correctRows(classifier, samples);
    const options = { pixels, population, generations, scale };
    const searches = open.map(
      (row) => new EvolutionSearch(results[row] as Float32Array, samples.labels[row] as number, random.stream(row, 0), options),
    );
    await searchByLogits(classifier, searches);
    for (const [index, row] of open.entries()) if (searches[index]?.found === true) results[row] = searches[index].image;
    return joinImages(results);
  };
}
