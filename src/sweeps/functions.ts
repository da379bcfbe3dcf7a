/**
 * @file Functions with known optima, to try samplers on. All are minimised. Parameters lie in [0, 1] and are scaled to the usual domain.
 * Sources: Surjanovic and Bingham, Virtual Library of Simulation Experiments (sphere to levy); Zitzler, Deb and Thiele 2000 (zdt1, zdt2).
 */
import type { FunctionName } from '../config/index.ts';

export interface TestFunction {
  /** Number of parameters; undefined = any. */
  readonly dimensions: number | undefined;
  /** Smallest value; of zdt1 and zdt2 undefined: they have a front. */
  readonly optimum: number | undefined;
  /** Values of the objectives at x in [0, 1]^d. */
  readonly evaluate: (x: readonly number[]) => readonly number[];
}

const scaled = (x: readonly number[], low: number, high: number) => x.map((value) => low + value * (high - low));
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const at = (x: readonly number[], i: number) => x[i] as number;

/** Domain [-5.12, 5.12]. */
function sphere(x: readonly number[]): number {
  return sum(scaled(x, -5.12, 5.12).map((value) => value ** 2));
}

/** Domain [-5, 10]; minimum at (1, ..., 1). */
function rosenbrock(x: readonly number[]): number {
  const z = scaled(x, -5, 10);
  return sum(z.slice(0, -1).map((value, i) => 100 * (at(z, i + 1) - value ** 2) ** 2 + (value - 1) ** 2));
}

/** Domain [-5, 10] x [0, 15]; three minima. */
function branin([u = 0, v = 0]: readonly number[]): number {
  const [x, y] = [15 * u - 5, 15 * v];
  return (y - (5.1 / (4 * Math.PI ** 2)) * x ** 2 + (5 / Math.PI) * x - 6) ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) + 10;
}

const HARTMANN_ALPHA = [1, 1.2, 3, 3.2];
const HARTMANN_A = [
  [10, 3, 17, 3.5, 1.7, 8],
  [0.05, 10, 17, 0.1, 8, 14],
  [3, 3.5, 1.7, 10, 17, 8],
  [17, 8, 0.05, 10, 0.1, 14],
];
const HARTMANN_P = [
  [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
  [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
  [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665],
  [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
];

/** Domain [0, 1]^6; six minima, one of them the lowest. */
function hartmann6(x: readonly number[]): number {
  const terms = HARTMANN_ALPHA.map((alpha, i) => {
    const [a = [], p = []] = [HARTMANN_A[i], HARTMANN_P[i]];
    return alpha * Math.exp(-sum(a.map((weight, j) => weight * (at(x, j) - at(p, j)) ** 2)));
  });
  return -sum(terms);
}

/** Domain [-32.768, 32.768]. */
function ackley(x: readonly number[]): number {
  const z = scaled(x, -32.768, 32.768);
  const d = z.length;
  const far = Math.exp(-0.2 * Math.sqrt(sum(z.map((value) => value ** 2)) / d));
  const waves = Math.exp(sum(z.map((value) => Math.cos(2 * Math.PI * value))) / d);
  return -20 * far - waves + 20 + Math.E;
}

/** Domain [-5.12, 5.12]. */
function rastrigin(x: readonly number[]): number {
  return 10 * x.length + sum(scaled(x, -5.12, 5.12).map((value) => value ** 2 - 10 * Math.cos(2 * Math.PI * value)));
}

/** Domain [-10, 10]. */
function levy(x: readonly number[]): number {
  const w = scaled(x, -10, 10).map((value) => 1 + (value - 1) / 4);
  const last = at(w, w.length - 1);
  const middle = w.slice(0, -1).map((value) => (value - 1) ** 2 * (1 + 10 * Math.sin(Math.PI * value + 1) ** 2));
  return Math.sin(Math.PI * at(w, 0)) ** 2 + sum(middle) + (last - 1) ** 2 * (1 + Math.sin(2 * Math.PI * last) ** 2);
}

/** Two objectives; on the front all parameters but the first are 0. */
function zdt(shape: (ratio: number) => number): TestFunction['evaluate'] {
  return (x) => {
    const first = at(x, 0);
    const g = 1 + (9 * sum(x.slice(1))) / Math.max(1, x.length - 1);
    return [first, g * shape(first / g)];
  };
}

const single = (dimensions: number | undefined, optimum: number, evaluate: (x: readonly number[]) => number): TestFunction => ({
  dimensions,
  optimum,
  evaluate: (x) => [evaluate(x)],
});

export const FUNCTIONS: Readonly<Record<FunctionName, TestFunction>> = {
  sphere: single(undefined, 0, sphere),
  rosenbrock: single(undefined, 0, rosenbrock),
  branin: single(2, 0.397887, branin),
  hartmann6: single(6, -3.32237, hartmann6),
  ackley: single(undefined, 0, ackley),
  rastrigin: single(undefined, 0, rastrigin),
  levy: single(undefined, 0, levy),
  zdt1: { dimensions: undefined, optimum: undefined, evaluate: zdt((ratio) => 1 - Math.sqrt(ratio)) },
  zdt2: { dimensions: undefined, optimum: undefined, evaluate: zdt((ratio) => 1 - ratio ** 2) },
  constant: single(undefined, 0, () => 0),
};

/** Values of a test function's objectives at x in [0, 1]^d. */
export function evaluateFunction(name: FunctionName, x: readonly number[]): readonly number[] {
  return FUNCTIONS[name].evaluate(x);
}
