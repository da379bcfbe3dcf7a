/**
 * @file How population based training explores (Jaderberg et al. 2017, section 3.1 and appendix A): a number is multiplied by 0.8 or by 1.2,
 * or with some probability drawn anew; a choice is kept or drawn anew.
 */
import type { Random } from '../core/index.ts';
import type { Coordinate, Point } from './point.ts';

const FACTORS = [0.8, 1.2] as const;
/** Of coordinates without a value of their own (shares of a simplex, ranges that reach below 0): part of the range, up or down. */
const STEP = 0.1;
/** Points are below 1. */
const MOST = 1 - 2 ** -40;

/**
 * A point near another one.
 * @param resample probability of drawing a coordinate anew, 0..1
 */
export function perturbPoint(coordinates: readonly Coordinate[], point: Point, random: Random, resample: number): Point {
  return coordinates.map((coordinate, i) => {
    const u = point[i] as number;
    // Each coordinate takes the same number of draws, whatever comes of them.
    const [isNew, drawn, isUp] = [random.uniform() < resample, random.uniform(), random.uniform() < 0.5];
    if (coordinate.kind === 'choice') return isNew ? Math.floor(drawn * coordinate.choices) : u;
    return isNew ? drawn : moved(coordinate, u, isUp);
  });
}

function moved({ scale }: Extract<Coordinate, { kind: 'unit' }>, u: number, isUp: boolean): number {
  if (scale === undefined || scale.low < 0 || scale.low === scale.high) return inRange(u + (isUp ? STEP : -STEP));
  const { low, high, log } = scale;
  const factor = FACTORS[isUp ? 1 : 0];
  if (log) return inRange(u + Math.log(factor) / Math.log(high / low));
  return inRange(((low + u * (high - low)) * factor - low) / (high - low));
}

function inRange(u: number): number {
  return Math.min(Math.max(u, 0), MOST);
}
