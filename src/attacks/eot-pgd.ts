/**
 * @file PGD on the mean of gradients at the image and at noisy copies of it (expectation over transformation, Athalye et al. 2018,
 * arXiv 1707.07397, with Gaussian noise): goes on where a network's own gradient is noise. On a smooth network it is PGD at a multiple of the cost.
 */
import { type Attack, imageOf, joinImages, type Stream, uniformField } from './attack.ts';
import { Ball } from './ball.ts';
import { type DescentOptions, DescentSearch } from './descent-search.ts';
import { type GradientLook, isMisclassified, searchByGradient } from './search.ts';

export interface EotPgdOptions {
  /** L-infinity radius in [0,1] pixel units. */
  readonly eps: number;
  /** In [0,1] pixel units; default eps / 4. */
  readonly stepSize?: number;
  /** Default 10. */
  readonly steps?: number;
  /** Gradients that are averaged for each step; default 20. */
  readonly draws?: number;
  /** Standard deviation of the Gaussian noise on the image, in [0,1] pixel units; default eps / 2. */
  readonly sigma?: number;
  readonly keepGoing?: boolean;
}

/** Looks at noisy copies between two steps. */
class ExpectationSearch extends DescentSearch {
  readonly #stream: Stream;
  readonly #draws: number;
  readonly #sigma: number;
  /** The image itself and what was seen at it, while copies are looked at; their gradients are added to it. */
  #at: { readonly image: Float32Array; readonly seen: GradientLook } | undefined;
  #seen = 0;

  constructor(options: DescentOptions, stream: Stream, draws: number, sigma: number) {
    super(options);
    this.#stream = stream;
    this.#draws = draws;
    this.#sigma = sigma;
  }

  override observe(seen: GradientLook): void {
    const at = this.#at ?? {
      image: this.image,
      seen: { ...seen, logits: seen.logits.slice(), gradient: new Float32Array(seen.gradient.length) },
    };
    this.#at = at;
    const sum = at.seen.gradient;
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (seen.gradient[i] as number);
    this.#seen += 1;
    if (this.#seen < this.#draws && !isMisclassified(at.seen.logits, this.label)) {
      this.image = at.image.map((value) => Math.min(Math.max(value + this.#sigma * this.#stream.normal(), 0), 1));
      return;
    }
    this.image = at.image;
    this.#at = undefined;
    this.#seen = 0;
    super.observe(at.seen);
  }
}

/** See the file's header. From a uniform point of the ball. */
export function eotPgd({ eps, stepSize = eps / 4, steps = 10, draws = 20, sigma = eps / 2, keepGoing }: EotPgdOptions): Attack {
  return async (classifier, samples, random) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball('linf', imageOf(samples, row), eps);
      const stream = random.stream(row, 0);
      const start = ball.offset(uniformField(stream));
      const takeStep: DescentOptions['takeStep'] = (next, image, { gradient }) => ball.step(next, image, gradient, stepSize);
      return new ExpectationSearch({ label: samples.labels[row] as number, start, steps, keepGoing, takeStep }, stream, draws, sigma);
    });
    await searchByGradient(classifier, 'cross-entropy', searches);
    return joinImages(searches.map(({ best }) => best));
  };
}
