/**
 * @file Projected gradient descent of any norm and loss as a search per sample, and PIFGSM, which differs in its step. FGSM and the usual
 * PGD are cheaper as compiled steps: see attack-step.ts.
 */
import { type Attack, imageOf, joinImages, uniformField } from './attack.ts';
import { Ball, type Norm } from './ball.ts';
import { type AttackLoss, CHANNELS, HEIGHT, WIDTH } from './classifier.ts';
import { type GradientLook, isMisclassified, type Search, searchByGradient } from './search.ts';

/** One step: writes the next image into `next`. */
type Step = (next: Float32Array, image: Float32Array, gradient: Float32Array) => void;

class DescentSearch implements Search<GradientLook> {
  readonly label: number;
  image: Float32Array;
  readonly #takeStep: Step;
  readonly #keepGoing: boolean;
  #left: number;
  #found = false;

  constructor(label: number, start: Float32Array, steps: number, keepGoing: boolean, takeStep: Step) {
    this.label = label;
    this.image = start;
    this.#left = steps;
    this.#keepGoing = keepGoing;
    this.#takeStep = takeStep;
  }

  get done(): boolean {
    return this.#left < 0 || (this.#found && !this.#keepGoing);
  }

  observe({ logits, gradient }: GradientLook): void {
    this.#found = isMisclassified(logits, this.label);
    this.#left -= 1;
    if (this.done) return;
    const next = new Float32Array(this.image.length);
    this.#takeStep(next, this.image, gradient);
    this.image = next;
  }
}

export interface PgdOptions {
  readonly norm: Norm;
  /** Radius in [0,1] pixel units. */
  readonly eps: number;
  readonly stepSize: number;
  readonly steps: number;
  /** Default `cross-entropy`. */
  readonly loss?: AttackLoss;
  /**
   * Default false. `linf`: uniform in the ball, cut to [0,1]. `l2`: a uniform field scaled to a radius that is uniform in [0, eps].
   */
  readonly randomStart?: boolean;
  /** Takes all steps and returns the last image, whatever came before. Default: ends at the first misclassified one. */
  readonly keepGoing?: boolean;
}

/** PGD (Madry et al. 2018, arXiv 1706.06083); without a random start BIM (Kurakin et al. 2017, arXiv 1607.02533). */
export function projectedGradient(options: PgdOptions): Attack {
  const { norm, eps, stepSize, steps, loss = 'cross-entropy', randomStart = false, keepGoing = false } = options;
  return async (classifier, samples, random) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball(norm, imageOf(samples, row), eps);
      const stream = random.stream(row, 0);
      let start = ball.clean;
      if (randomStart && norm === 'linf') {
        const field = uniformField(stream);
        start = ball.clean.map((value, i) => value + eps * (field[i] as number));
        ball.project(start);
      } else if (randomStart) start = new Ball(norm, ball.clean, eps * stream.uniform()).start(uniformField(stream));
      return new DescentSearch(samples.labels[row] as number, start, steps, keepGoing, (next, image, gradient) => {
        ball.ascend(next, image, gradient, stepSize);
        ball.project(next);
      });
    });
    await searchByGradient(classifier, loss, searches);
    return joinImages(searches.map(({ image }) => image));
  };
}

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
 * Patch-wise iterative FGSM (Gao et al., ECCV 2020, arXiv 2007.06765): what the accumulated steps exceed eps by is spread over the neighbouring
 * pixels. With ab = amplification * eps / steps and n = sgn(g): A += ab n; C = max(|A| - eps, 0) sgn(A); Q = ab sgn(W * C), W the mean of the eight
 * neighbours, zero outside the image; A += Q; x <- clip(x + ab n + Q).
 */
export function pifgsm({ eps, steps = 10, amplification = 10, keepGoing = false }: PifgsmOptions): Attack {
  // In float32 throughout: sums that cancel decide signs, and other roundings would decide otherwise.
  const size = Math.fround((amplification * eps) / steps);
  const radius = Math.fround(eps);
  return async (classifier, samples) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball('linf', imageOf(samples, row), eps);
      const sums = new Float32Array(ball.clean.length);
      const excess = new Float32Array(ball.clean.length);
      return new DescentSearch(samples.labels[row] as number, ball.clean, steps, keepGoing, (next, image, gradient) => {
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
      });
    });
    await searchByGradient(classifier, 'cross-entropy', searches);
    return joinImages(searches.map(({ image }) => image));
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
