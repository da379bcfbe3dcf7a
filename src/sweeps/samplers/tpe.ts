/**
 * @file Tree-structured Parzen estimator: points that are likely among the good observations and unlikely among the others (Bergstra 2011),
 * with multivariate kernels (Falkner 2018; what matters is measured in Watanabe 2023, arXiv 2304.11127). Several objectives: the good ones
 * by Pareto rank, and inside the rank that doesn't fit by hypervolume (Ozaki 2020, without its weights).
 */
import { Random } from '../../core/index.ts';
import type { Point } from '../point.ts';
import type { Observation, Sampler, SamplerOptions, SuggestRequest } from '../sampler.ts';
import { bestOf } from './observation-order.ts';
import { ParzenEstimator } from './parzen-estimator.ts';
import { sobolPoint } from './sobol.ts';

/** Share of the observations that count as good, with one objective and with several, and how many at most. */
const GOOD_SHARE = 0.15;
const GOOD_SHARE_OF_SEVERAL = 0.1;
const MOST_GOOD = 25;
/** Of the others the newest; more would only take time. */
const MOST_OTHERS = 300;
/** Points drawn from the good ones, of which the best is taken. */
const DRAWS = 64;

export function createTpeSampler({ coordinates, seed, startup, objectives }: SamplerOptions): Sampler {
  return {
    learns: true,
    suggest: (request) => {
      const { candidate, attempt, observations } = request;
      if (observations.length < startup || candidate < startup) return sobolPoint(coordinates, seed, candidate + attempt);
      const random = new Random('sweep', seed, candidate, attempt);
      const { good, others } = split(request, objectives === 1 ? GOOD_SHARE : GOOD_SHARE_OF_SEVERAL);
      const [likely, unlikely] = [new ParzenEstimator(coordinates, good), new ParzenEstimator(coordinates, others)];
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
function split(
  { observations, pending }: SuggestRequest,
  goodShare: number,
): { readonly good: readonly Point[]; readonly others: readonly Point[] } {
  const count = Math.min(Math.ceil(goodShare * observations.length), MOST_GOOD);
  const good = new Set(bestOf(observations, count, 'hypervolume'));
  const others: Point[] = [];
  for (let i = observations.length - 1; i >= 0 && others.length < MOST_OTHERS; i--) {
    const observation = observations[i] as Observation;
    if (!good.has(observation)) others.push(observation.point);
  }
  return { good: [...good].map(({ point }) => point), others: [...others, ...pending] };
}
