/**
 * @file The normal distribution of CMA-ES and how a generation changes it (Hansen, tutorial arXiv 1604.00772, figure 6, with its negative
 * weights). Symbols as in the tutorial's appendix A.
 */
import type { Random } from '../../core/index.ts';
import { eigenSymmetric } from './linear-algebra.ts';

/** A sixth of the range, so that three deviations reach the borders from the middle. */
const FIRST_STEP = 1 / 6;
const LARGEST_STEP = 1;
/** Draws outside [0, 1)^n before one is put on the border. */
const MOST_DRAWS = 100;

/** Constants of n coordinates and a population of lambda; table 1 of the tutorial. */
interface Rates {
  /** By place in the generation; those of the worse half are negative. */
  readonly weights: readonly number[];
  readonly mu: number;
  readonly muEff: number;
  readonly cSigma: number;
  readonly dSigma: number;
  readonly cC: number;
  readonly c1: number;
  readonly cMu: number;
  /** Expected length of a standard normal vector. */
  readonly chi: number;
}

export class CmaDistribution {
  readonly #n: number;
  readonly #rates: Rates;
  #mean: number[];
  #sigma = FIRST_STEP;
  #covariance: number[][];
  /** Of the covariance. */
  #eigen: { readonly values: readonly number[]; readonly vectors: readonly (readonly number[])[] };
  #pathSigma: number[];
  #pathC: number[];
  #generation = 0;

  constructor(n: number, lambda: number) {
    this.#n = n;
    this.#rates = ratesOf(Math.max(n, 1), lambda);
    this.#mean = Array.from({ length: n }, () => 0.5);
    this.#covariance = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (__, j) => (i === j ? 1 : 0)));
    this.#eigen = eigenSymmetric(this.#covariance);
    this.#pathSigma = this.#mean.map(() => 0);
    this.#pathC = this.#mean.map(() => 0);
  }

  /** A point of [0, 1)^n; drawn again while it lies outside. */
  draw(random: Random): number[] {
    const scales = this.#eigen.values.map((value) => Math.sqrt(value));
    let x: number[] = [];
    for (let attempt = 0; attempt < MOST_DRAWS; attempt++) {
      const z = scales.map((scale) => scale * random.normal());
      x = this.#rotated(z).map((value, i) => (this.#mean[i] as number) + this.#sigma * value);
      if (x.every((value) => value >= 0 && value < 1)) return x;
    }
    return x.map((value) => Math.min(Math.max(value, 0), 1 - Number.EPSILON));
  }

  /** @param points of one generation, [lambda][n], from best to worst */
  update(points: readonly (readonly number[])[]): void {
    const n = this.#n;
    if (n === 0) return;
    const { weights, mu, muEff, cSigma, dSigma, cC, c1, cMu, chi } = this.#rates;
    const steps = points.map((point) => point.map((value, i) => (value - (this.#mean[i] as number)) / this.#sigma));
    const step = this.#mean.map((_, i) => {
      let sum = 0;
      for (let k = 0; k < mu; k++) sum += (weights[k] as number) * (steps[k]?.[i] as number);
      return sum;
    });
    this.#mean = this.#mean.map((mean, i) => mean + this.#sigma * (step[i] as number));
    this.#generation += 1;
    const growth = Math.sqrt(cSigma * (2 - cSigma) * muEff);
    const white = this.#whitened(step);
    this.#pathSigma = this.#pathSigma.map((p, i) => (1 - cSigma) * p + growth * (white[i] as number));
    const length = Math.hypot(...this.#pathSigma);
    const isSlow = length / Math.sqrt(1 - (1 - cSigma) ** (2 * this.#generation)) < (1.4 + 2 / (n + 1)) * chi;
    const growthC = isSlow ? Math.sqrt(cC * (2 - cC) * muEff) : 0;
    this.#pathC = this.#pathC.map((p, i) => (1 - cC) * p + growthC * (step[i] as number));
    // A negative weight takes away at most what there is in its direction (equation 46).
    const own = steps.map((each, k) => {
      const weight = weights[k] as number;
      return weight >= 0 ? weight : (weight * n) / (Math.hypot(...this.#whitened(each)) ** 2 + 1e-20);
    });
    const kept = 1 - c1 - cMu * weights.reduce((sum, weight) => sum + weight, 0) + (isSlow ? 0 : c1 * cC * (2 - cC));
    this.#covariance = this.#covariance.map((row, i) =>
      row.map((value, j) => {
        let rankMu = 0;
        for (const [k, each] of steps.entries()) rankMu += (own[k] as number) * (each[i] as number) * (each[j] as number);
        return kept * value + c1 * (this.#pathC[i] as number) * (this.#pathC[j] as number) + cMu * rankMu;
      }),
    );
    const { values, vectors } = eigenSymmetric(this.#covariance);
    this.#eigen = { values: values.map((value) => Math.max(value, 1e-20)), vectors };
    this.#sigma = Math.min(this.#sigma * Math.exp((cSigma / dSigma) * (length / chi - 1)), LARGEST_STEP);
  }

  /** B z. */
  #rotated(z: readonly number[]): number[] {
    return z.map((_, i) => z.reduce((sum, value, k) => sum + (this.#eigen.vectors[i]?.[k] as number) * value, 0));
  }

  /** C^(-1/2) y. */
  #whitened(y: readonly number[]): number[] {
    const { values, vectors } = this.#eigen;
    return this.#rotated(
      values.map((value, k) => y.reduce((sum, each, i) => sum + (vectors[i]?.[k] as number) * each, 0) / Math.sqrt(value)),
    );
  }
}

function ratesOf(n: number, lambda: number): Rates {
  const raw = Array.from({ length: lambda }, (_, i) => Math.log((lambda + 1) / 2) - Math.log(i + 1));
  const mu = Math.floor(lambda / 2);
  const [better, worse] = [raw.slice(0, mu), raw.slice(mu)];
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const effective = (values: readonly number[]) => sum(values) ** 2 / sum(values.map((value) => value ** 2));
  const [muEff, muEffWorse] = [effective(better), effective(worse)];
  const c1 = 2 / ((n + 1.3) ** 2 + muEff);
  const cMu = Math.min(1 - c1, (2 * (0.25 + muEff + 1 / muEff - 2)) / ((n + 2) ** 2 + muEff));
  const cSigma = (muEff + 2) / (n + muEff + 5);
  const negative = Math.min(1 + c1 / cMu, 1 + (2 * muEffWorse) / (muEff + 2), (1 - c1 - cMu) / (n * cMu));
  return {
    weights: [...better.map((value) => value / sum(better)), ...worse.map((value) => (negative * value) / -sum(worse))],
    mu,
    muEff,
    cSigma,
    dSigma: 1 + 2 * Math.max(0, Math.sqrt((muEff - 1) / (n + 1)) - 1) + cSigma,
    cC: (4 + muEff / n) / (n + 4 + (2 * muEff) / n),
    c1,
    cMu,
    chi: Math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n)),
  };
}
