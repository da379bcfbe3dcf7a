/**
 * @file CMA-ES (Hansen, tutorial arXiv 1604.00772): a normal distribution that follows the best of each generation. Generations are the
 * observations in their order, so many at a time; the state is a fold over them. Several objectives: by Pareto rank and crowding.
 */
import { Random } from '../../core/index.ts';
import type { Coordinate, Point } from '../point.ts';
import type { Observation, Sampler, SamplerOptions } from '../sampler.ts';
import { CmaDistribution } from './cma-distribution.ts';
import { bestOf, fromBestToWorst } from './observation-order.ts';

/** Weight of one observation less in the frequencies of choices. */
const CHOICE_PRIOR = 1;
/** Choices are counted in the better half of the newest so many. */
const MOST_COUNTED = 500;

export function createCmaEsSampler({ coordinates, seed, population }: SamplerOptions): Sampler {
  const units = coordinates.flatMap(({ kind }, i) => (kind === 'unit' ? [i] : []));
  const lambda = population ?? 4 + Math.floor(3 * Math.log(Math.max(units.length, 1)));
  const folded = new Fold(units, lambda);
  return {
    learns: true,
    suggest: ({ candidate, attempt, observations }) => {
      const random = new Random('sweep', seed, candidate, attempt);
      const values = folded.over(observations).draw(random);
      const point = choices(coordinates, observations.slice(-MOST_COUNTED), random);
      for (const [k, i] of units.entries()) point[i] = values[k] as number;
      return point;
    },
  };
}

/** The distribution after whole generations; goes on from the last one asked for where the observations begin with the same ones. */
class Fold {
  readonly #units: readonly number[];
  readonly #lambda: number;
  #distribution: CmaDistribution;
  #used: Observation[] = [];

  constructor(units: readonly number[], lambda: number) {
    this.#units = units;
    this.#lambda = lambda;
    this.#distribution = new CmaDistribution(units.length, lambda);
  }

  over(observations: readonly Observation[]): CmaDistribution {
    const whole = observations.length - (observations.length % this.#lambda);
    if (this.#used.length > whole || this.#used.some((observation, i) => observation !== observations[i])) {
      this.#distribution = new CmaDistribution(this.#units.length, this.#lambda);
      this.#used = [];
    }
    while (this.#used.length < whole) {
      const generation = observations.slice(this.#used.length, this.#used.length + this.#lambda);
      this.#distribution.update(fromBestToWorst(generation).map(({ point }) => this.#units.map((i) => point[i] as number)));
      this.#used.push(...generation);
    }
    return this.#distribution;
  }
}

/** Choices by how often the better half has them; 0 for units. */
function choices(coordinates: readonly Coordinate[], observations: readonly Observation[], random: Random): number[] {
  if (coordinates.every(({ kind }) => kind === 'unit')) return coordinates.map(() => 0);
  const better: readonly { readonly point: Point }[] = bestOf(observations, Math.ceil(observations.length / 2));
  return coordinates.map((coordinate, i) => {
    if (coordinate.kind === 'unit') return 0;
    const own = better[Math.floor(random.uniform() * (better.length + CHOICE_PRIOR))]?.point[i];
    return own ?? random.integer(coordinate.choices);
  });
}
