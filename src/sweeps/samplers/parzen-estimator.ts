/**
 * @file A density as a mixture of one kernel per point and the uniform density (Bergstra 2011, section 4; multivariate kernels as in Falkner
 * 2018). Units have normal kernels truncated to [0, 1), choices the point's own choice with some chance of any.
 */
import type { Random } from '../../core/index.ts';
import type { Coordinate, Point } from '../point.ts';
import { massInside, truncatedNormal } from './normal-distribution.ts';

/** The narrowest kernel is one over the number of points wide, at least one over this. */
const MOST_RESOLUTION = 100;
/** Weight of the uniform density, in points. */
const PRIOR = 1;

export class ParzenEstimator {
  readonly #coordinates: readonly Coordinate[];
  readonly #points: readonly Point[];
  /** [points][coordinates]; 0 for choices. */
  readonly #bandwidths: Float64Array;
  /** By coordinate: chance of a choice by lot instead of the kernel's own. */
  readonly #lots: readonly number[];
  /** One over the integral of each kernel's exponential, by point. */
  readonly #norms: Float64Array;
  readonly #uniform: number;

  constructor(coordinates: readonly Coordinate[], points: readonly Point[]) {
    this.#coordinates = coordinates;
    this.#points = points;
    this.#bandwidths = bandwidthsOf(points, coordinates);
    this.#lots = coordinates.map((each) => (each.kind === 'choice' ? each.choices / (each.choices + points.length) : 0));
    this.#uniform = coordinates.reduce((density, each) => (each.kind === 'choice' ? density / each.choices : density), 1);
    const d = coordinates.length;
    this.#norms = Float64Array.from(points, (point, k) => {
      let norm = 1;
      for (let i = 0; i < d; i++) {
        if (coordinates[i]?.kind === 'choice') continue;
        const bandwidth = this.#bandwidths[k * d + i] as number;
        norm /= bandwidth * massInside(point[i] as number, bandwidth) * Math.sqrt(2 * Math.PI);
      }
      return norm;
    });
  }

  draw(random: Random): Point {
    const k = Math.floor(random.uniform() * (this.#points.length + PRIOR));
    const centre = this.#points[k];
    const d = this.#coordinates.length;
    return this.#coordinates.map((coordinate, i) => {
      if (coordinate.kind === 'unit')
        return centre === undefined
          ? random.uniform()
          : truncatedNormal(centre[i] as number, this.#bandwidths[k * d + i] as number, random);
      const byLot = centre === undefined || random.uniform() < (this.#lots[i] as number);
      return byLot ? random.integer(coordinate.choices) : (centre[i] as number);
    });
  }

  logDensity(point: Point): number {
    let total = PRIOR * this.#uniform;
    for (let k = 0; k < this.#points.length; k++) total += this.#kernel(point, k);
    return Math.log(total / (this.#points.length + PRIOR));
  }

  #kernel(point: Point, k: number): number {
    const centre = this.#points[k] as Point;
    const d = this.#coordinates.length;
    let density = this.#norms[k] as number;
    let exponent = 0;
    for (let i = 0; i < d; i++) {
      const coordinate = this.#coordinates[i] as Coordinate;
      const [x, mean] = [point[i] as number, centre[i] as number];
      if (coordinate.kind === 'choice') {
        const lot = this.#lots[i] as number;
        density *= lot / coordinate.choices + (x === mean ? 1 - lot : 0);
      } else {
        const z = (x - mean) / (this.#bandwidths[k * d + i] as number);
        exponent += z * z;
      }
    }
    return density * Math.exp(-0.5 * exponent);
  }
}

/**
 * In each coordinate the larger distance to the neighbours among the points: wide where points are rare (Bergstra 2011, section 4.2). The
 * borders are no neighbours, unlike there: the outermost points of a cluster would reach across the space, and of the points drawn few
 * would be near the good ones (rosenbrock, four coordinates, budget 100: median 20 with borders, 13 without).
 */
function bandwidthsOf(points: readonly Point[], coordinates: readonly Coordinate[]): Float64Array {
  const d = coordinates.length;
  const least = 1 / Math.min(MOST_RESOLUTION, points.length + 1);
  const bandwidths = new Float64Array(points.length * d);
  for (const [i, { kind }] of coordinates.entries()) {
    if (kind === 'choice') continue;
    const column = Float64Array.from(points, (point) => point[i] as number);
    const order = Uint32Array.from(points, (_, k) => k).sort((a, b) => (column[a] as number) - (column[b] as number));
    for (const [place, k] of order.entries()) {
      const value = column[k] as number;
      const [before, after] = [order[place - 1], order[place + 1]];
      const below = before === undefined ? 0 : value - (column[before] as number);
      const above = after === undefined ? 0 : (column[after] as number) - value;
      const widest = order.length === 1 ? 1 : Math.max(below, above);
      bandwidths[k * d + i] = Math.max(widest, least);
    }
  }
  return bandwidths;
}
