/** @file A Gaussian process with a Matern 5/2 kernel (Rasmussen and Williams 2006, sections 2.2, 4.2 and 5.4). */
import { cholesky, solveLower, solveUpper } from './linear-algebra.ts';

interface Hyperparameters {
  /** One per input. */
  readonly lengths: readonly number[];
  readonly noise: number;
}

const SQRT5 = Math.sqrt(5);
const LENGTHS = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2];
const NOISES = [1e-6, 1e-3, 3e-2];
const FACTORS = [0.5, 0.75, 1.35, 2];
const ROUNDS = 2;
/** Mean and deviation of the logarithm of a length scale, before any data: short ones overfit. */
const LOG_LENGTH = Math.log(0.5);
const LOG_LENGTH_DEVIATION = 1;

/** See the file's header. Targets have mean 0 and deviation 1. */
export class GaussianProcess {
  readonly #inputs: readonly (readonly number[])[];
  readonly #targets: readonly number[];
  readonly #parameters: Hyperparameters;
  readonly #factor: Float64Array[];
  readonly #alpha: Float64Array;

  private constructor(
    inputs: readonly (readonly number[])[],
    targets: readonly number[],
    parameters: Hyperparameters,
    factor: Float64Array[],
  ) {
    this.#inputs = inputs;
    this.#targets = targets;
    this.#parameters = parameters;
    this.#factor = factor;
    this.#alpha = solveUpper(factor, solveLower(factor, targets));
  }

  /** With the hyperparameters of the largest posterior density on a coarse grid, refined coordinate by coordinate. */
  static fit(inputs: readonly (readonly number[])[], targets: readonly number[]): GaussianProcess {
    const dimensions = inputs[0]?.length ?? 0;
    const squares = squaredDifferences(inputs, dimensions);
    const score = (parameters: Hyperparameters) => logPosterior(squares, targets, parameters);
    let best = {
      parameters: { lengths: Array.from({ length: dimensions }, () => 0.5), noise: 1e-3 } as Hyperparameters,
      score: Number.NEGATIVE_INFINITY,
    };
    const consider = (parameters: Hyperparameters) => {
      const value = score(parameters);
      if (value > best.score) best = { parameters, score: value };
    };
    for (const length of LENGTHS)
      for (const noise of NOISES) consider({ lengths: Array.from({ length: dimensions }, () => length), noise });
    for (let round = 0; round < ROUNDS; round++)
      for (let i = 0; i < dimensions; i++) {
        const { lengths, noise } = best.parameters;
        for (const factor of FACTORS) consider({ lengths: lengths.with(i, (lengths[i] as number) * factor), noise });
      }
    const { parameters } = best;
    const factor =
      cholesky(covariance(squares, inputs.length, parameters)) ??
      (cholesky(covariance(squares, inputs.length, { ...parameters, noise: 0.1 })) as Float64Array[]);
    return new GaussianProcess(inputs, targets, parameters, factor);
  }

  /** The same process had it been observed at these inputs what it predicts there (Ginsbourger 2010, kriging believer). */
  believing(inputs: readonly (readonly number[])[]): GaussianProcess {
    if (inputs.length === 0) return this;
    const all = [...this.#inputs, ...inputs];
    const targets = [...this.#targets, ...inputs.map((input) => this.predict(input).mean)];
    const squares = squaredDifferences(all, all[0]?.length ?? 0);
    const factor = cholesky(covariance(squares, all.length, this.#parameters));
    return factor === undefined ? this : new GaussianProcess(all, targets, this.#parameters, factor);
  }

  predict(input: readonly number[]): { readonly mean: number; readonly deviation: number } {
    const { lengths } = this.#parameters;
    const k = Float64Array.from(this.#inputs, (other) => {
      let square = 0;
      for (let i = 0; i < input.length; i++) square += (((input[i] as number) - (other[i] as number)) / (lengths[i] as number)) ** 2;
      return matern(square);
    });
    let mean = 0;
    for (let i = 0; i < k.length; i++) mean += (k[i] as number) * (this.#alpha[i] as number);
    const v = solveLower(this.#factor, k);
    let explained = 0;
    for (const value of v) explained += value * value;
    return { mean, deviation: Math.sqrt(Math.max(1 - explained, 1e-12)) };
  }
}

/** @param square squared distance in length scales */
function matern(square: number): number {
  const r = SQRT5 * Math.sqrt(square);
  return (1 + r + (r * r) / 3) * Math.exp(-r);
}

/** By pair i > j, then by input. */
function squaredDifferences(inputs: readonly (readonly number[])[], dimensions: number): Float64Array {
  const squares = new Float64Array(((inputs.length * (inputs.length - 1)) / 2) * dimensions);
  let at = 0;
  for (let i = 1; i < inputs.length; i++)
    for (let j = 0; j < i; j++)
      for (let k = 0; k < dimensions; k++) squares[at++] = ((inputs[i]?.[k] as number) - (inputs[j]?.[k] as number)) ** 2;
  return squares;
}

function covariance(squares: Float64Array, n: number, { lengths, noise }: Hyperparameters): Float64Array[] {
  const matrix = Array.from({ length: n }, () => new Float64Array(n));
  const weights = lengths.map((length) => 1 / length ** 2);
  let at = 0;
  for (let i = 0; i < n; i++) {
    const row = matrix[i] as Float64Array;
    for (let j = 0; j < i; j++) {
      let square = 0;
      for (const weight of weights) square += weight * (squares[at++] as number);
      row[j] = matern(square);
    }
    row[i] = 1 + noise;
  }
  return matrix;
}

function logPosterior(squares: Float64Array, targets: readonly number[], parameters: Hyperparameters): number {
  const factor = cholesky(covariance(squares, targets.length, parameters));
  if (factor === undefined) return Number.NEGATIVE_INFINITY;
  const y = solveLower(factor, targets);
  let value = 0;
  for (let i = 0; i < y.length; i++) value -= 0.5 * (y[i] as number) ** 2 + Math.log(factor[i]?.[i] as number);
  for (const length of parameters.lengths) value -= 0.5 * ((Math.log(length) - LOG_LENGTH) / LOG_LENGTH_DEVIATION) ** 2;
  return value;
}
