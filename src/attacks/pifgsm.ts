/** @file Patch-wise iterative FGSM (Gao et al., ECCV 2020, arXiv 2007.06765): what the accumulated steps exceed eps by is spread over the neighbours. */
import { type Attack, imageOf, joinImages } from './attack.ts';
import { Ball } from './ball.ts';
import { CHANNELS, HEIGHT, WIDTH } from './classifier.ts';
import { DescentSearch } from './descent-search.ts';
import { searchByGradient } from './search.ts';

export interface PifgsmOptions {
  /** L-infinity radius in [0,1] pixel units. */
  readonly eps: number;
  /** Default 10. */
  readonly steps?: number;
  /** Factor on the step eps / steps; default 10, as the authors', made for transfer. 1 is stronger against the model itself. */
  readonly amplification?: number;
  readonly keepGoing?: boolean;
}

/**
 * With ab = amplification * eps / steps and n = sgn(g): A += ab n; C = max(|A| - eps, 0) sgn(A); Q = ab sgn(W * C), W the mean of the eight
 * neighbours, zero outside the image; A += Q; x <- clip(x + ab n + Q).
 */
export function pifgsm({ eps, steps = 10, amplification = 10, keepGoing }: PifgsmOptions): Attack {
  // In float32 throughout: sums that cancel decide signs, and other roundings would decide otherwise.
  const size = Math.fround((amplification * eps) / steps);
  const radius = Math.fround(eps);
  return async (classifier, samples) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball('linf', imageOf(samples, row), eps);
      const sums = new Float32Array(ball.clean.length);
      const excess = new Float32Array(ball.clean.length);
      return new DescentSearch({
        label: samples.labels[row] as number,
        start: ball.clean,
        steps,
        keepGoing,
        takeStep: (next, image, { gradient }) => {
          for (let i = 0; i < next.length; i++) {
            const step = size * Math.sign(gradient[i] as number);
            const sum = Math.fround((sums[i] as number) + step);
            sums[i] = sum;
            excess[i] = Math.max(Math.abs(sum) - radius, 0) * Math.sign(sum);
            next[i] = (image[i] as number) + step;
          }
          spread(excess, (i, sign) => {
            sums[i] = (sums[i] as number) + size * sign;
            next[i] = (next[i] as number) + size * sign;
          });
          ball.project(next);
        },
      });
    });
    await searchByGradient(classifier, 'cross-entropy', searches);
    return joinImages(searches.map(({ best }) => best));
  };
}

/** Calls back with the sign of the sum over each value's eight neighbours in its channel. */
function spread(values: Float32Array, add: (index: number, sign: number) => void): void {
  const at = (y: number, x: number, channel: number): number =>
    y < 0 || y >= HEIGHT || x < 0 || x >= WIDTH ? 0 : (values[(y * WIDTH + x) * CHANNELS + channel] as number);
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < WIDTH; x++)
      for (let channel = 0; channel < CHANNELS; channel++) {
        let sum = 0;
        for (let dy = -1; dy <= 1; dy++)
          for (let dx = -1; dx <= 1; dx++) if (dy !== 0 || dx !== 0) sum = Math.fround(sum + Math.fround(at(y + dy, x + dx, channel) / 8));
        add((y * WIDTH + x) * CHANNELS + channel, Math.sign(sum));
      }
}
