/**
 * @file Tree-structured Parzen estimator: points that are likely among the good observations and unlikely among the others (Bergstra 2011),
 * with one multivariate kernel per observation (Falkner 2018; what matters is measured in Watanabe 2023, arXiv 2304.11127). Several
 * objectives: the good ones by Pareto rank and crowding (after Ozaki 2020).
 */
import { Random } from '../../core/index.ts';
import type { Coordinate, Point } from '../point.ts';
import type { Observation, Sampler, SamplerOptions, SuggestRequest } from '../sampler.ts';
import { fromBestToWorst } from './observation-order.ts';
import { sobolPoint } from './sobol.ts';

/** Share of the observations that count as good, and how many at most. */
const GOOD_SHARE = 0.15;
const MOST_GOOD = 25;
/** Of the others the newest; more would only take time. */
const MOST_OTHERS = 300;
/** Points drawn from the good ones, of which the best is taken. */
const DRAWS = 128;
/** The narrowest kernel is one over the number of points wide, at least one over this. */
const MOST_RESOLUTION = 100;
/** Weight of the uniform prior, in observations. */
const PRIOR = 1;

export function createTpeSampler({ coordinates, seed, startup }: SamplerOptions): Sampler {
  return {
    learns: true,
    suggest: (request) => {
      const { candidate, attempt, observations } = request;
      if (observations.length < startup || candidate < startup) return sobolPoint(coordinates, seed, candidate + attempt);
      const random = new Random('sweep', seed, candidate, attempt);
      const { good, others } = split(request);
      const [likely, unlikely] = [new Density(coordinates, good), new Density(coordinates, others)];
      let best: { readonly point: Point; readonly score: number } | undefined;
      for (let i = 0; i < DRAWS; i++) {
        const point = likely.draw(random);
        const score = likely.logDensity(point) - unlikely.logDensity(point);
        if (best === undefined || score > best.score) best = { point, score };
      }
      return best?.point;
    },
  };
}

/** Points under way count among the others, so that parallel lanes don't try the same. */
function split({ observations, pending }: SuggestRequest): { readonly good: readonly Point[]; readonly others: readonly Point[] } {
  const ordered = fromBestToWorst(observations);
  const count = Math.min(Math.ceil(GOOD_SHARE * ordered.length), MOST_GOOD);
  const isOther = new Set(ordered.slice(count).map(({ candidate }) => candidate));
  const newest = observations.filter(({ candidate }) => isOther.has(candidate)).slice(-MOST_OTHERS);
  const points = (list: readonly Observation[]) => list.map(({ point }) => point);
  return { good: points(ordered.slice(0, count)), others: [...points(newest), ...pending] };
}

/** A mixture of one kernel per point and a uniform one. */
class Density {
  readonly #coordinates: readonly Coordinate[];
  readonly #points: readonly Point[];
  /** Of each point in each coordinate; 0 for choices. */
  readonly #bandwidths: readonly (readonly number[])[];
  /** One over the mass of each kernel inside [0, 1), coordinates multiplied. */
  readonly #norms: readonly number[];

  constructor(coordinates: readonly Coordinate[], points: readonly Point[]) {
    this.#coordinates = coordinates;
    this.#points = points;
    this.#bandwidths = bandwidthsOf(points, coordinates);
    this.#norms = points.map((point, k) =>
      coordinates.reduce((norm, { kind }, i) => {
        const bandwidth = this.#bandwidths[k]?.[i] as number;
        return kind === 'choice' ? norm : norm / (bandwidth * massInside(point[i] as number, bandwidth) * Math.sqrt(2 * Math.PI));
      }, 1),
    );
  }

  draw(random: Random): Point {
    const index = Math.floor(random.uniform() * (this.#points.length + PRIOR));
    const centre = this.#points[index];
    return this.#coordinates.map((coordinate, i) => {
      if (coordinate.kind === 'choice')
        return centre === undefined || random.uniform() < this.#otherChoice(coordinate.choices)
          ? random.integer(coordinate.choices)
          : (centre[i] as number);
      return centre === undefined ? random.uniform() : truncatedNormal(centre[i] as number, this.#bandwidths[index]?.[i] as number, random);
    });
  }

  logDensity(point: Point): number {
    let total = PRIOR * uniformDensity(this.#coordinates);
    for (const k of this.#points.keys()) total += this.#kernel(point, k);
    return Math.log(total / (this.#points.length + PRIOR));
  }

  #kernel(point: Point, k: number): number {
    const [centre, bandwidths] = [this.#points[k] as Point, this.#bandwidths[k] as readonly number[]];
    let density = this.#norms[k] as number;
    let exponent = 0;
    for (let i = 0; i < this.#coordinates.length; i++) {
      const coordinate = this.#coordinates[i] as Coordinate;
      const [x, mean] = [point[i] as number, centre[i] as number];
      if (coordinate.kind === 'choice') {
        const other = this.#otherChoice(coordinate.choices);
        density *= other / coordinate.choices + (x === mean ? 1 - other : 0);
      } else exponent += ((x - mean) / (bandwidths[i] as number)) ** 2;
    }
    return density * Math.exp(-0.5 * exponent);
  }

  /** Chance of a choice by lot instead of the kernel's own. */
  #otherChoice(choices: number): number {
    return choices / (choices + this.#points.length);
  }
}

/**
 * In each coordinate the larger distance to the neighbours among the points, the borders included: wide where points are rare (Bergstra
 * 2011, section 4.2).
 */
function bandwidthsOf(points: readonly Point[], coordinates: readonly Coordinate[]): readonly (readonly number[])[] {
  const least = 1 / Math.min(MOST_RESOLUTION, points.length + 1);
  const columns = coordinates.map(({ kind }, i) => {
    const column = points.map(() => 0);
    if (kind === 'choice') return column;
    const order = points.map((_, k) => k).sort((a, b) => (points[a]?.[i] as number) - (points[b]?.[i] as number));
    for (const [place, k] of order.entries()) {
      const value = points[k]?.[i] as number;
      const [before, after] = [points[order[place - 1] ?? -1]?.[i] ?? 0, points[order[place + 1] ?? -1]?.[i] ?? 1];
      column[k] = Math.min(Math.max(value - before, after - value, least), 1);
    }
    return column;
  });
  return points.map((_, k) => columns.map((column) => column[k] as number));
}

function uniformDensity(coordinates: readonly Coordinate[]): number {
  return coordinates.reduce((density, each) => (each.kind === 'choice' ? density / each.choices : density), 1);
}

function normalDensity(z: number): number {
  return Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
}

/** Share of a normal distribution that lies in [0, 1). */
function massInside(mean: number, deviation: number): number {
  return normalShare((1 - mean) / deviation) - normalShare(-mean / deviation);
}

/** Distribution function of the normal distribution, to 1e-7 (Abramowitz and Stegun 26.2.17). */
export function normalShare(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail = normalDensity(z) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z >= 0 ? 1 - tail : tail;
}

function truncatedNormal(mean: number, deviation: number, random: Random): number {
  for (;;) {
    const value = mean + deviation * random.normal();
    // At least half of the mass lies inside unless the bandwidth is wide; then a third does.
    if (value >= 0 && value < 1) return value;
  }
}
