/**
 * @file Bayesian optimisation with a Gaussian process (Matern 5/2, one length scale per coordinate) and expected improvement, as in Snoek
 * 2012. Several objectives: a random weighting of them for each candidate (ParEGO, Knowles 2006).
 */
import { Random } from '../../core/index.ts';
import type { Coordinate, Point } from '../point.ts';
import type { Observation, Sampler, SamplerOptions, SuggestRequest } from '../sampler.ts';
import { GaussianProcess } from './gaussian-process.ts';
import { logExpectedImprovement, normalQuantile } from './normal-distribution.ts';
import { fromBestToWorst } from './observation-order.ts';
import { sobolPoint } from './sobol.ts';

/** The process takes time with the cube of their number: half of them the best, half the newest. */
const MOST_OBSERVATIONS = 150;
/** Points that the improvement is tried at, and then from the best of these on. */
const DRAWS = 600;
const STARTS = 4;
const STEPS = 120;
const FIRST_SCALE = 0.1;
const SCALE_GROWTH = 1.5;
/** Weight of the sum beside that of the worst objective, in ParEGO. */
const SUM_WEIGHT = 0.05;

export function createGpSampler({ coordinates, seed, startup }: SamplerOptions): Sampler {
  return {
    learns: true,
    suggest: (request) => {
      const { candidate, attempt, observations } = request;
      if (candidate < startup || observations.length < startup) return sobolPoint(coordinates, seed, candidate + attempt);
      const random = new Random('sweep', seed, candidate, attempt);
      const used = choose(observations);
      const targets = targetsOf(used, random);
      const inputs = used.map(({ point }) => encode(point, coordinates));
      const process = GaussianProcess.fit(inputs, targets).believing(request.pending.map((point) => encode(point, coordinates)));
      const best = Math.min(...targets);
      return maximise(request, coordinates, seed, random, used, (point) => {
        const { mean, deviation } = process.predict(encode(point, coordinates));
        return logExpectedImprovement(mean, deviation, best);
      });
    },
  };
}

function choose(observations: readonly Observation[]): readonly Observation[] {
  if (observations.length <= MOST_OBSERVATIONS) return observations;
  const best = new Set(fromBestToWorst(observations).slice(0, MOST_OBSERVATIONS / 2));
  const newest = observations.filter((each) => !best.has(each)).slice(-MOST_OBSERVATIONS / 2);
  return [...best, ...newest];
}

/** Standardised losses; where they can't be compared (rungs, failures), the normal scores of their order. */
function targetsOf(observations: readonly Observation[], random: Random): number[] {
  const rung = observations[0]?.rung;
  const comparable = observations.every((each) => each.losses !== undefined && each.rung === rung);
  if (!comparable) {
    const order = new Map(fromBestToWorst(observations).map(({ candidate }, i) => [candidate, i]));
    return observations.map(({ candidate }) => normalQuantile(((order.get(candidate) as number) + 0.5) / observations.length));
  }
  const losses = observations.map((each) => each.losses as readonly number[]);
  const objectives = (losses[0] as readonly number[]).length;
  const columns = Array.from({ length: objectives }, (_, k) => losses.map((each) => each[k] as number));
  if (objectives === 1) return standardised(columns[0] as number[]);
  const weights = columns.map(() => -Math.log(1 - random.uniform()));
  const ranged = columns.map((column, k) => fromIdeal(column).map((value) => (weights[k] as number) * value));
  return standardised(
    losses.map((_, i) => {
      const weighted = ranged.map((column) => column[i] as number);
      return Math.max(...weighted) + SUM_WEIGHT * weighted.reduce((sum, value) => sum + value, 0);
    }),
  );
}

/** From 0 at the smallest on, in ranges, because the worst of several weighted objectives is only what it means where none is negative. */
function fromIdeal(values: readonly number[]): number[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return values.map((value) => (value - low) / (high - low || 1));
}

/** Mean 0 and deviation 1; losses far above the others are drawn in, because how bad they are doesn't matter. */
function standardised(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, median] = [sorted[0] as number, sorted[sorted.length >> 1] as number];
  const limit = median + 3 * (median - low);
  const drawn = values.map((value) =>
    value > limit && limit > median ? limit + Math.log1p((value - limit) / (limit - median)) * (limit - median) : value,
  );
  const mean = drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
  const deviation = Math.sqrt(drawn.reduce((sum, value) => sum + (value - mean) ** 2, 0) / drawn.length) || 1;
  return drawn.map((value) => (value - mean) / deviation);
}

/** Units as they are; a choice as one number per value. */
function encode(point: Point, coordinates: readonly Coordinate[]): number[] {
  return coordinates.flatMap((coordinate, i) => {
    if (coordinate.kind === 'unit') return [point[i] as number];
    return Array.from({ length: coordinate.choices }, (_, choice) => (choice === point[i] ? 1 : 0));
  });
}

function maximise(
  { candidate }: SuggestRequest,
  coordinates: readonly Coordinate[],
  seed: number,
  random: Random,
  observations: readonly Observation[],
  score: (point: Point) => number,
): Point {
  const near = fromBestToWorst(observations).slice(0, STARTS);
  const draws = [
    ...Array.from({ length: DRAWS / 2 }, (_, i) => sobolPoint(coordinates, seed + 1, candidate * DRAWS + i)),
    ...Array.from({ length: DRAWS / 2 }, (_, i) => stepFrom(near[i % near.length]?.point as Point, coordinates, 0.1, random)),
  ];
  const starts = draws
    .map((point) => ({ point, value: score(point) }))
    .sort((a, b) => b.value - a.value)
    .slice(0, STARTS);
  const climbed = starts.map((start) => {
    let { point, value } = start;
    let scale = FIRST_SCALE;
    for (let step = 0; step < STEPS; step++) {
      const next = stepFrom(point, coordinates, scale, random);
      const nextValue = score(next);
      const isBetter = nextValue > value;
      if (isBetter) [point, value] = [next, nextValue];
      // One step in five is better at the best scale (Rechenberg 1973).
      scale = Math.min(scale * (isBetter ? SCALE_GROWTH : SCALE_GROWTH ** -0.25), FIRST_SCALE);
    }
    return { point, value };
  });
  return climbed.reduce((best, each) => (each.value > best.value ? each : best)).point;
}

function stepFrom(point: Point, coordinates: readonly Coordinate[], scale: number, random: Random): Point {
  return coordinates.map((coordinate, i) => {
    if (coordinate.kind === 'choice') return random.uniform() < scale ? random.integer(coordinate.choices) : (point[i] as number);
    return Math.min(Math.max((point[i] as number) + scale * random.normal(), 0), 1 - Number.EPSILON);
  });
}
