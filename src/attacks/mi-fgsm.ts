/** @file Momentum iterative FGSM (Dong et al., CVPR 2018, arXiv 1710.06081), made for transfer. */
import { type Attack, imageOf, joinImages } from './attack.ts';
import { Ball } from './ball.ts';
import { DescentSearch } from './descent-search.ts';
import { Momentum } from './momentum.ts';
import { searchByGradient } from './search.ts';

export interface MiFgsmOptions {
  /** L-infinity radius in [0,1] pixel units. */
  readonly eps: number;
  /** Default 10. */
  readonly steps?: number;
  /** In [0,1] pixel units; default eps / steps. */
  readonly stepSize?: number;
  /** Share of the direction that is kept from step to step; default 1. */
  readonly decay?: number;
  readonly keepGoing?: boolean;
}

/** From the image itself: d <- decay d + g / |g|_1; x <- P(x + stepSize sgn(d)). */
export function miFgsm({ eps, steps = 10, stepSize = eps / steps, decay = 1, keepGoing }: MiFgsmOptions): Attack {
  return async (classifier, samples) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball('linf', imageOf(samples, row), eps);
      const momentum = new Momentum(ball.clean.length, decay);
      return new DescentSearch({
        label: samples.labels[row] as number,
        start: ball.clean,
        steps,
        keepGoing,
        takeStep: (next, image, { gradient }) => ball.step(next, image, momentum.add(gradient), stepSize),
      });
    });
    await searchByGradient(classifier, 'cross-entropy', searches);
    return joinImages(searches.map(({ best }) => best));
  };
}
