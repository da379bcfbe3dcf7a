/**
 * @file Translation-invariant FGSM (Dong, Pang, Su and Zhu, CVPR 2019, arXiv 1904.02884), made for transfer: momentum FGSM along the gradient
 * smoothed with a Gaussian kernel, which stands for the mean gradient over small translations of the image.
 */
import { type Attack, imageOf, joinImages } from './attack.ts';
import { Ball } from './ball.ts';
import { DescentSearch } from './descent-search.ts';
import { gaussianBlur, gaussianKernel } from './gaussian-blur.ts';
import { Momentum } from './momentum.ts';
import { searchByGradient } from './search.ts';

export interface TiFgsmOptions {
  /** L-infinity radius in [0,1] pixel units. */
  readonly eps: number;
  /** Default 10; with 1 it is TI-FGSM proper. */
  readonly steps?: number;
  /** Side of the kernel in pixels, odd; default 5. The paper's 15 is for images of 299 pixels. */
  readonly kernel?: number;
  /** Of the momentum; default 1. With 0 it is TI-BIM. */
  readonly decay?: number;
}

/**
 * From the image itself, all steps of eps / steps: d <- decay d + W * g / |W * g|_1; x <- P(x + (eps / steps) sgn(d)). Returns the last image,
 * also where an earlier one was misclassified: more steps transfer better.
 */
export function tiFgsm({ eps, steps = 10, kernel = 5, decay = 1 }: TiFgsmOptions): Attack {
  const weights = gaussianKernel(kernel);
  return async (classifier, samples) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball('linf', imageOf(samples, row), eps);
      const momentum = new Momentum(ball.clean.length, decay);
      return new DescentSearch({
        label: samples.labels[row] as number,
        start: ball.clean,
        steps,
        keepGoing: true,
        takeStep: (next, image, { gradient }) => ball.step(next, image, momentum.add(gaussianBlur(gradient, weights)), eps / steps),
      });
    });
    await searchByGradient(classifier, 'cross-entropy', searches);
    return joinImages(searches.map(({ best }) => best));
  };
}
