/** @file Functions with known optima that samplers are tried on; src/sweeps/functions.ts computes them. */

export const FUNCTION_NAMES = [
  'sphere',
  'rosenbrock',
  'branin',
  'hartmann6',
  'ackley',
  'rastrigin',
  'levy',
  'zdt1',
  'zdt2',
  'constant',
] as const;
export type FunctionName = (typeof FUNCTION_NAMES)[number];
