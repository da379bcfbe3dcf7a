/**
 * @file CMA-ES (Hansen, tutorial arXiv 1604.00772): a normal distribution that follows the best of each generation. Generations are the
 * observations in their order, so many at a time; the state is a fold over them.
 */
import { Random } from '../../core/index.ts';
import type { Coordinate, Point } from '../point.ts';
import type { Observation, Sampler, SamplerOptions } from '../sampler.ts';
import { fromBestToWorst } from './observation-order.ts';
import { eigenSymmetric } from './linear-algebra.ts';

const FIRST_STEP = 1 / 6;
/** Draws of one coordinate outside [0, 1) before it is put on the border. */
const MOST_DRAWS = 20;
/** Weight of one observation less in the frequencies of choices. */
const CHOICE_PRIOR = 1;

export function createCmaEsSampler({ coordinates, seed, population }: SamplerOptions): Sampler {
  const units = coordinates.flatMap(({ kind }, i) => (kind === 'unit' ? [i] : []));
  const d = Math.max(units.length, 1);
  const lambda = population ?? 4 + Math.floor(3 * Math.log(d));
  return {
    learns: true,
    suggest: ({ candidate, attempt, observations }) => {
      const random = new Random('sweep', seed, candidate, attempt);
      const state = new State(units.length, lambda);
      for (let first = 0; first + lambda <= observations.length; first += lambda)
        state.update(fromBestToWorst(observations.slice(first, first + lambda)).map(({ point }) => units.map((i) => point[i] as number)));
      const values = state.draw(random);
      const chosen = choices(coordinates, observations, random);
      return coordinates.map(({ kind }, i) => (kind === 'unit' ? (values[units.indexOf(i)] as number) : (chosen[i] as number)));
    },
  };
}

/** Choices by how often the better half has them. */
function choices(coordinates: readonly Coordinate[], observations: readonly Observation[], random: Random): Point {
  const ordered = fromBestToWorst(observations);
  const better = ordered.slice(0, Math.ceil(ordered.length / 2));
  return coordinates.map((coordinate, i) => {
    if (coordinate.kind === 'unit') return 0;
    const pick = random.uniform() * (better.length + CHOICE_PRIOR);
    const own = better[Math.floor(pick)]?.point[i];
    return own ?? random.integer(coordinate.choices);
  });
}

/** The distribution; symbols as in the tutorial, table 1 and figure 6. */
class State {
  readonly #n: number;
  readonly #weights: readonly number[];
  readonly #muEff: number;
  #mean: number[];
  #sigma = FIRST_STEP;
  #c: number[][];
  #pathSigma: number[];
  #pathC: number[];
  #generation = 0;

  constructor(n: number, lambda: number) {
    this.#n = n;
    const mu = Math.floor(lambda / 2);
    const raw = Array.from({ length: mu }, (_, i) => Math.log((lambda + 1) / 2) - Math.log(i + 1));
    const total = raw.reduce((sum, weight) => sum + weight, 0);
    this.#weights = raw.map((weight) => weight / total);
    this.#muEff = 1 / this.#weights.reduce((sum, weight) => sum + weight ** 2, 0);
    this.#mean = Array.from({ length: n }, () => 0.5);
    this.#c = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (__, j) => (i === j ? 1 : 0)));
    this.#pathSigma = Array.from({ length: n }, () => 0);
    this.#pathC = Array.from({ length: n }, () => 0);
  }

  draw(random: Random): number[] {
    const { values, vectors } = eigenSymmetric(this.#c);
    const scales = values.map((value) => Math.sqrt(Math.max(value, 0)));
    let x: number[] = [];
    for (let attempt = 0; attempt < MOST_DRAWS; attempt++) {
      const z = scales.map((scale) => scale * random.normal());
      x = this.#mean.map((mean, i) => mean + this.#sigma * z.reduce((sum, value, k) => sum + (vectors[i]?.[k] as number) * value, 0));
      if (x.every((value) => value >= 0 && value < 1)) return x;
    }
    return x.map((value) => Math.min(Math.max(value, 0), 1 - Number.EPSILON));
  }

  /** @param points of one generation, from best to worst */
  update(points: readonly (readonly number[])[]): void {
    const n = this.#n;
    if (n === 0) return;
    const muEff = this.#muEff;
    const cSigma = (muEff + 2) / (n + muEff + 5);
    const dSigma = 1 + 2 * Math.max(0, Math.sqrt((muEff - 1) / (n + 1)) - 1) + cSigma;
    const cC = (4 + muEff / n) / (n + 4 + (2 * muEff) / n);
    const c1 = 2 / ((n + 1.3) ** 2 + muEff);
    const cMu = Math.min(1 - c1, (2 * (muEff - 2 + 1 / muEff)) / ((n + 2) ** 2 + muEff));
    const expected = Math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
    const steps = points.map((point) => point.map((value, i) => (value - (this.#mean[i] as number)) / this.#sigma));
    const step = this.#mean.map((_, i) => this.#weights.reduce((sum, weight, k) => sum + weight * (steps[k]?.[i] as number), 0));
    this.#mean = this.#mean.map((mean, i) => mean + this.#sigma * (step[i] as number));
    const { values, vectors } = eigenSymmetric(this.#c);
    // C^(-1/2) times the step.
    const inEigen = values.map(
      (value, k) => step.reduce((sum, s, i) => sum + (vectors[i]?.[k] as number) * s, 0) / Math.sqrt(Math.max(value, 1e-20)),
    );
    const whitened = step.map((_, i) => inEigen.reduce((sum, s, k) => sum + (vectors[i]?.[k] as number) * s, 0));
    this.#generation += 1;
    this.#pathSigma = this.#pathSigma.map((p, i) => (1 - cSigma) * p + Math.sqrt(cSigma * (2 - cSigma) * muEff) * (whitened[i] as number));
    const length = Math.sqrt(this.#pathSigma.reduce((sum, p) => sum + p * p, 0));
    const stalls = length / Math.sqrt(1 - (1 - cSigma) ** (2 * this.#generation)) < (1.4 + 2 / (n + 1)) * expected ? 1 : 0;
    this.#pathC = this.#pathC.map((p, i) => (1 - cC) * p + stalls * Math.sqrt(cC * (2 - cC) * muEff) * (step[i] as number));
    const correction = (1 - stalls) * cC * (2 - cC);
    this.#c = this.#c.map((row, i) =>
      row.map((value, j) => {
        const rankMu = this.#weights.reduce((sum, weight, k) => sum + weight * (steps[k]?.[i] as number) * (steps[k]?.[j] as number), 0);
        const rankOne = (this.#pathC[i] as number) * (this.#pathC[j] as number) + correction * value;
        return (1 - c1 - cMu) * value + c1 * rankOne + cMu * rankMu;
      }),
    );
    this.#sigma = Math.min(this.#sigma * Math.exp((cSigma / dSigma) * (length / expected - 1)), 1);
  }
}
