/**
 * @file Diverse inputs FGSM (Xie et al., CVPR 2019, arXiv 1803.06978), made for transfer: momentum FGSM along gradients at copies of the image that
 * were resized and padded at random.
 */
import { type Attack, imageOf, joinImages, type Stream } from './attack.ts';
import { Ball } from './ball.ts';
import { HEIGHT } from './classifier.ts';
import { Momentum } from './momentum.ts';
import { ResizePad } from './resize-pad.ts';
import { type GradientLook, type Search, searchByGradient } from './search.ts';

export interface DiFgsmOptions {
  /** L-infinity radius in [0,1] pixel units. */
  readonly eps: number;
  /** Default 10. */
  readonly steps?: number;
  /** Of a resized copy instead of the image itself; default 0.5. */
  readonly probability?: number;
  /** Shortest side of a copy as a share of the image's; default 0.9, as 299 of 331 pixels in the paper. */
  readonly smallest?: number;
  /** Of the momentum; default 1, with which it is M-DI2-FGSM. With 0 it is DI2-FGSM. */
  readonly decay?: number;
}

/** Looks at transformed images only, so it takes all steps. */
class DiverseSearch implements Search<GradientLook> {
  readonly label: number;
  image: Float32Array;
  /** The attacked image, not transformed. */
  current: Float32Array;
  readonly #takeStep: (next: Float32Array, image: Float32Array, gradient: Float32Array) => void;
  readonly #draw: () => ResizePad | undefined;
  #transform: ResizePad | undefined;
  #left: number;

  constructor(
    label: number,
    start: Float32Array,
    steps: number,
    takeStep: (next: Float32Array, image: Float32Array, gradient: Float32Array) => void,
    draw: () => ResizePad | undefined,
  ) {
    this.label = label;
    this.current = start;
    this.#left = steps;
    this.#takeStep = takeStep;
    this.#draw = draw;
    this.#transform = draw();
    this.image = this.#transform?.apply(start) ?? start;
  }

  get done(): boolean {
    return this.#left <= 0;
  }

  observe({ gradient }: GradientLook): void {
    const next = new Float32Array(this.current.length);
    this.#takeStep(next, this.current, this.#transform?.transpose(gradient) ?? gradient);
    this.current = next;
    this.#left -= 1;
    this.#transform = this.#draw();
    this.image = this.#transform?.apply(next) ?? next;
  }
}

/**
 * From the image itself, all steps of eps / steps: g = T' dL/dT(x) with a T drawn for each step; d <- decay d + g / |g|_1;
 * x <- P(x + (eps / steps) sgn(d)). Returns the last image. As networks here have a fixed input, copies are made smaller and padded back to 32
 * pixels; the paper enlarges and pads.
 */
export function diFgsm({ eps, steps = 10, probability = 0.5, smallest = 0.9, decay = 1 }: DiFgsmOptions): Attack {
  const shortest = Math.ceil(smallest * HEIGHT);
  return async (classifier, samples, random) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball('linf', imageOf(samples, row), eps);
      const momentum = new Momentum(ball.clean.length, decay);
      const stream = random.stream(row, 0);
      return new DiverseSearch(
        samples.labels[row] as number,
        ball.clean,
        steps,
        (next, image, gradient) => ball.step(next, image, momentum.add(gradient), eps / steps),
        () => (stream.uniform() < probability ? randomResizePad(shortest, stream) : undefined),
      );
    });
    await searchByGradient(classifier, 'cross-entropy', searches);
    return joinImages(searches.map(({ current }) => current));
  };
}

/** A side from `shortest` to 31 pixels, somewhere on the image; all are equally likely. */
function randomResizePad(shortest: number, stream: Stream): ResizePad {
  const side = Math.min(shortest + Math.trunc((HEIGHT - shortest) * stream.uniform()), HEIGHT);
  const place = () => Math.trunc((HEIGHT - side + 1) * stream.uniform());
  return new ResizePad(side, place(), place());
}
