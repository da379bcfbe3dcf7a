/**
 * @file Jitter (Schwinn et al. 2021, arXiv 2105.10304) as PGD on the loss `jitter` (see attack-loss.ts): scaled logits defeat masks that work
 * by the logits' size, noise on the probabilities varies the classes that it aims at.
 */
import { type Attack, imageOf, joinImages, type Stream, uniformField } from './attack.ts';
import { Ball } from './ball.ts';
import { type DescentOptions, DescentSearch } from './descent-search.ts';
import { type GradientLook, isMisclassified, searchByGradient } from './search.ts';

export interface JitterOptions {
  /** L-infinity radius in [0,1] pixel units. */
  readonly eps: number;
  /** In [0,1] pixel units; default eps / 4. */
  readonly stepSize?: number;
  /** Default 10. */
  readonly steps?: number;
  /** Standard deviation of the noise on the probabilities; default 0.1. */
  readonly sigma?: number;
  /** From a uniform point of the ball; default true. */
  readonly randomStart?: boolean;
  readonly keepGoing?: boolean;
}

/** Has other noise at each look. */
class JitterSearch extends DescentSearch {
  noise: Float32Array;
  readonly #stream: Stream;
  readonly #sigma: number;

  constructor(options: DescentOptions, stream: Stream, sigma: number, classes: number) {
    super(options);
    this.#stream = stream;
    this.#sigma = sigma;
    this.noise = new Float32Array(classes);
    this.#draw();
  }

  override observe(seen: GradientLook): void {
    super.observe(seen);
    this.#draw();
  }

  #draw(): void {
    if (this.#sigma > 0) this.noise = this.noise.map(() => this.#sigma * this.#stream.normal());
  }
}

/** See the file's header. Where it goes on after success, it climbs loss / |delta|_inf: a smaller change counts as progress. */
export function jitter({ eps, stepSize = eps / 4, steps = 10, sigma = 0.1, randomStart = true, keepGoing }: JitterOptions): Attack {
  return async (classifier, samples, random) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball('linf', imageOf(samples, row), eps);
      const stream = random.stream(row, 0);
      const label = samples.labels[row] as number;
      const start = randomStart ? ball.offset(uniformField(stream)) : ball.clean;
      const takeStep: DescentOptions['takeStep'] = (next, image, seen) => {
        const gradient = isMisclassified(seen.logits, label) ? perSize(ball.clean, image, seen) : seen.gradient;
        ball.step(next, image, gradient, stepSize);
      };
      return new JitterSearch({ label, start, steps, keepGoing, takeStep }, stream, sigma, classifier.classes);
    });
    await searchByGradient(classifier, 'jitter', searches);
    return joinImages(searches.map(({ best }) => best));
  };
}

/** Gradient of loss / |image - clean|_inf; that of the largest value is shared by all that are as large. */
function perSize(clean: Float32Array, image: Float32Array, { loss, gradient }: GradientLook): Float32Array {
  const delta = image.map((value, i) => value - (clean[i] as number));
  const size = delta.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (size === 0) return gradient;
  const largest = delta.reduce((count, value) => count + (Math.abs(value) === size ? 1 : 0), 0);
  return gradient.map((value, i) => {
    const own = delta[i] as number;
    return value / size - (Math.abs(own) === size ? (loss * Math.sign(own)) / (size * size * largest) : 0);
  });
}
