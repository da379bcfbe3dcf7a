/** @file NSGA-II (Deb 2002) over what has been observed so far: tournaments, simulated binary crossover, polynomial mutation. */
import { Random } from '../../core/index.ts';
import type { Coordinate, Point } from '../point.ts';
import type { Observation, Sampler, SamplerOptions } from '../sampler.ts';
import { fromBestToWorst } from './observation-order.ts';
import { sobolPoint } from './sobol.ts';

const POPULATION = 20;
/** Distribution indices: larger ones stay nearer to the parents. */
const CROSSOVER_INDEX = 20;
const MUTATION_INDEX = 20;
const CROSSOVER_CHANCE = 0.9;

/** The population is the best of all observations; it changes with each of them, so generations needn't wait for their last member. */
export function createNsga2Sampler({ coordinates, seed, population = POPULATION }: SamplerOptions): Sampler {
  return {
    learns: true,
    suggest: ({ candidate, attempt, observations }) => {
      if (candidate < population || observations.length < 2) return sobolPoint(coordinates, seed, candidate + attempt);
      const random = new Random('sweep', seed, candidate, attempt);
      const parents = fromBestToWorst(observations).slice(0, population);
      const [first, second] = [tournament(parents, random), tournament(parents, random)];
      return mutate(crossover(first, second, coordinates, random), coordinates, random);
    },
  };
}

/** The better of two by lot; the list is in order. */
function tournament(ordered: readonly Observation[], random: Random): Point {
  return ordered[Math.min(random.integer(ordered.length), random.integer(ordered.length))]?.point as Point;
}

function crossover(first: Point, second: Point, coordinates: readonly Coordinate[], random: Random): Point {
  if (random.uniform() >= CROSSOVER_CHANCE) return first;
  return coordinates.map(({ kind }, i) => {
    const [a, b] = [first[i] as number, second[i] as number];
    if (kind === 'choice' || random.uniform() < 0.5) return random.uniform() < 0.5 ? a : b;
    const u = random.uniform();
    const spread = u < 0.5 ? (2 * u) ** (1 / (CROSSOVER_INDEX + 1)) : (1 / (2 * (1 - u))) ** (1 / (CROSSOVER_INDEX + 1));
    const side = random.uniform() < 0.5 ? 1 : -1;
    return inside(0.5 * (a + b + side * spread * (b - a)));
  });
}

function mutate(point: Point, coordinates: readonly Coordinate[], random: Random): Point {
  const chance = 1 / coordinates.length;
  return point.map((value, i) => {
    const coordinate = coordinates[i] as Coordinate;
    if (random.uniform() >= chance) return value;
    if (coordinate.kind === 'choice') return random.integer(coordinate.choices);
    const u = random.uniform();
    const step = u < 0.5 ? (2 * u) ** (1 / (MUTATION_INDEX + 1)) - 1 : 1 - (2 * (1 - u)) ** (1 / (MUTATION_INDEX + 1));
    return inside(value + step);
  });
}

function inside(value: number): number {
  return Math.min(Math.max(value, 0), 1 - Number.EPSILON);
}
