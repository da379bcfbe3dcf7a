/** @file Variants of PGD in the L-infinity ball that differ in the gradient that they follow: MI-FGSM, EOT-PGD and Jitter. */
import { type Attack, imageOf, joinImages, type Stream, uniformField } from './attack.ts';
import { Ball } from './ball.ts';
import { type GradientLook, isMisclassified, type Search, searchByGradient } from './search.ts';

interface SignSteps {
  readonly ball: Ball;
  readonly label: number;
  readonly start: Float32Array;
  readonly stepSize: number;
  readonly steps: number;
  /** Takes all steps and keeps the last image, whatever came before. */
  readonly keepGoing: boolean;
}

/** Sign steps along a direction that a subclass makes of what it sees at `image`. */
abstract class SignSearch implements Search<GradientLook> {
  readonly label: number;
  image: Float32Array;
  /** Where the steps have led; {@link image} may be a point beside it. */
  protected at: Float32Array;
  protected readonly ball: Ball;
  readonly #options: SignSteps;
  #left: number;
  #found = false;

  constructor(options: SignSteps) {
    this.label = options.label;
    this.image = options.start;
    this.at = options.start;
    this.ball = options.ball;
    this.#options = options;
    this.#left = options.steps;
  }

  get done(): boolean {
    return this.#left < 0 || (this.#found && !this.#options.keepGoing);
  }

  get result(): Float32Array {
    return this.at;
  }

  abstract observe(seen: GradientLook): void;

  /** Ends the search where it is, or takes one step along the signs of `direction`. */
  protected proceed(logits: Float32Array, direction: Float32Array): void {
    this.#found = isMisclassified(logits, this.label);
    this.#left -= 1;
    if (this.done) return;
    const next = new Float32Array(this.at.length);
    this.ball.ascend(next, this.at, direction, this.#options.stepSize);
    this.ball.project(next);
    this.at = next;
    this.image = next;
  }
}

interface StepOptions {
  /** L-infinity radius in [0,1] pixel units. */
  readonly eps: number;
  /** Default eps / 4, for MI-FGSM eps / steps. */
  readonly stepSize?: number;
  /** Default 10. */
  readonly steps?: number;
  readonly keepGoing?: boolean;
}

export interface MiFgsmOptions extends StepOptions {
  /** Share of the direction that is kept from step to step; default 1. */
  readonly decay?: number;
}

class MomentumSearch extends SignSearch {
  readonly #decay: number;
  readonly #direction: Float32Array;

  constructor(options: SignSteps, decay: number) {
    super(options);
    this.#decay = decay;
    this.#direction = new Float32Array(options.start.length);
  }

  observe({ logits, gradient }: GradientLook): void {
    let sum = 0;
    for (const value of gradient) sum += Math.abs(value);
    // A zero gradient adds nothing to the direction.
    const scale = sum === 0 ? 0 : 1 / sum;
    for (let i = 0; i < gradient.length; i++)
      this.#direction[i] = this.#decay * (this.#direction[i] as number) + scale * (gradient[i] as number);
    this.proceed(logits, this.#direction);
  }
}

/** Momentum iterative FGSM (Dong et al., CVPR 2018, arXiv 1710.06081): g <- decay g + gradient / |gradient|_1, from the image itself; made for transfer. */
export function miFgsm({ eps, steps = 10, stepSize = eps / steps, decay = 1, keepGoing = false }: MiFgsmOptions): Attack {
  return async (classifier, samples) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball('linf', imageOf(samples, row), eps);
      const label = samples.labels[row] as number;
      return new MomentumSearch({ ball, label, start: ball.clean, stepSize, steps, keepGoing }, decay);
    });
    await searchByGradient(classifier, 'cross-entropy', searches);
    return joinImages(searches.map(({ result }) => result));
  };
}

export interface EotPgdOptions extends StepOptions {
  /** Gradients that are averaged for each step; default 20. */
  readonly draws?: number;
  /** Standard deviation of the Gaussian noise on the image, in [0,1] pixel units; default eps / 2. */
  readonly sigma?: number;
}

class ExpectationSearch extends SignSearch {
  readonly #stream: Stream;
  readonly #draws: number;
  readonly #sigma: number;
  readonly #sum: Float64Array;
  readonly #logits: Float32Array;
  #seen = 0;

  constructor(options: SignSteps, stream: Stream, draws: number, sigma: number, classes: number) {
    super(options);
    this.#stream = stream;
    this.#draws = draws;
    this.#sigma = sigma;
    this.#sum = new Float64Array(options.start.length);
    this.#logits = new Float32Array(classes);
  }

  observe({ logits, gradient }: GradientLook): void {
    // The first look of a step is at the image itself, which decides whether it is done.
    if (this.#seen === 0) {
      this.#logits.set(logits);
      this.#sum.fill(0);
    }
    for (let i = 0; i < gradient.length; i++) this.#sum[i] = (this.#sum[i] as number) + (gradient[i] as number);
    this.#seen += 1;
    if (this.#seen < this.#draws && !isMisclassified(this.#logits, this.label)) {
      this.image = this.at.map((value) => Math.min(Math.max(value + this.#sigma * this.#stream.normal(), 0), 1));
      return;
    }
    this.#seen = 0;
    this.proceed(this.#logits, Float32Array.from(this.#sum));
  }
}

/**
 * PGD on the mean of gradients at the image and at noisy copies of it (expectation over transformation, Athalye et al. 2018, arXiv 1707.07397, with
 * Gaussian noise): goes on where a network's own gradient is noise. On a smooth network it is PGD at a multiple of the cost.
 */
export function eotPgd({ eps, stepSize = eps / 4, steps = 10, draws = 20, sigma = eps / 2, keepGoing = false }: EotPgdOptions): Attack {
  return async (classifier, samples, random) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball('linf', imageOf(samples, row), eps);
      const stream = random.stream(row, 0);
      const start = uniformStart(ball, stream);
      const label = samples.labels[row] as number;
      return new ExpectationSearch({ ball, label, start, stepSize, steps, keepGoing }, stream, draws, sigma, classifier.classes);
    });
    await searchByGradient(classifier, 'cross-entropy', searches);
    return joinImages(searches.map(({ result }) => result));
  };
}

export interface JitterOptions extends StepOptions {
  /** Standard deviation of the noise on the probabilities; default 0.1. */
  readonly sigma?: number;
  /** Default true. */
  readonly randomStart?: boolean;
}

class JitterSearch extends SignSearch {
  noise: Float32Array;
  readonly #stream: Stream;
  readonly #sigma: number;

  constructor(options: SignSteps, stream: Stream, sigma: number, classes: number) {
    super(options);
    this.#stream = stream;
    this.#sigma = sigma;
    this.noise = new Float32Array(classes);
    this.#draw();
  }

  observe({ logits, loss, gradient }: GradientLook): void {
    const direction = isMisclassified(logits, this.label) ? this.#towardsSmaller(loss, gradient) : gradient;
    this.proceed(logits, direction);
    this.#draw();
  }

  #draw(): void {
    if (this.#sigma > 0) this.noise = this.noise.map(() => this.#sigma * this.#stream.normal());
  }

  /** Gradient of loss / |delta|_inf: once misclassified, a smaller change counts as progress. */
  #towardsSmaller(loss: number, gradient: Float32Array): Float32Array {
    const { clean } = this.ball;
    const delta = this.at.map((value, i) => value - (clean[i] as number));
    const size = delta.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (size === 0) return gradient;
    const largest = delta.reduce((count, value) => count + (Math.abs(value) === size ? 1 : 0), 0);
    return gradient.map((value, i) => {
      const own = delta[i] as number;
      return value / size - (Math.abs(own) === size ? (loss * Math.sign(own)) / (size * size * largest) : 0);
    });
  }
}

/**
 * Jitter (Schwinn et al. 2021, arXiv 2105.10304) as PGD on the loss `jitter` (see attack-loss.ts): scaled logits defeat masks that work by the
 * logits' size, noise on the probabilities varies the classes that it aims at.
 */
export function jitter({ eps, stepSize = eps / 4, steps = 10, sigma = 0.1, randomStart = true, keepGoing = false }: JitterOptions): Attack {
  return async (classifier, samples, random) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball('linf', imageOf(samples, row), eps);
      const stream = random.stream(row, 0);
      const start = randomStart ? uniformStart(ball, stream) : ball.clean;
      const label = samples.labels[row] as number;
      return new JitterSearch({ ball, label, start, stepSize, steps, keepGoing }, stream, sigma, classifier.classes);
    });
    await searchByGradient(classifier, 'jitter', searches);
    return joinImages(searches.map(({ result }) => result));
  };
}

/** A uniform point of the ball, cut to [0,1]. */
function uniformStart(ball: Ball, stream: Stream): Float32Array {
  const field = uniformField(stream);
  const start = ball.clean.map((value, i) => value + ball.eps * (field[i] as number));
  ball.project(start);
  return start;
}
