/** @file Random points of the ball: what an attack without any knowledge finds. Every other attack must do better. */
import { type Attack, imageOf, joinImages, type Stream, uniformField } from './attack.ts';
import { Ball } from './ball.ts';
import { IMAGE_VALUES } from './classifier.ts';
import { isMisclassified, type Look, type Search, searchByLogits } from './search.ts';

export interface NoiseOptions {
  readonly norm: 'linf' | 'l2';
  /** Radius in [0,1] pixel units. */
  readonly eps: number;
  /**
   * Default `uniform`. `linf`: uniform in the ball, or normal with standard deviation eps/2 cut to the ball. `l2`: a field of uniform or normal
   * values scaled to the length eps. All are cut to [0,1].
   */
  readonly distribution?: NoiseDistribution;
  /** Points to try; default 1. */
  readonly draws?: number;
}

export type NoiseDistribution = 'uniform' | 'gaussian';

/** Looks at one point after the other and ends at the first misclassified one, else at the last. */
class NoiseSearch implements Search<Look> {
  readonly label: number;
  image: Float32Array;
  done = false;
  readonly #draw: (index: number) => Float32Array;
  readonly #draws: number;
  #seen = 0;

  constructor(label: number, draws: number, draw: (index: number) => Float32Array) {
    this.label = label;
    this.#draws = draws;
    this.#draw = draw;
    this.image = draw(0);
  }

  observe({ logits }: Look): void {
    this.#seen += 1;
    this.done = isMisclassified(logits, this.label) || this.#seen >= this.#draws;
    if (!this.done) this.image = this.#draw(this.#seen);
  }
}

/** Returns the first misclassified point, else the last one. With a single draw it doesn't look at the classifier. */
export function noise({ norm, eps, distribution = 'uniform', draws = 1 }: NoiseOptions): Attack {
  return async (classifier, samples, random) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball(norm, imageOf(samples, row), eps);
      const draw = (index: number) => point(ball, distribution, random.stream(row, index));
      return new NoiseSearch(samples.labels[row] as number, draws, draw);
    });
    if (draws > 1) await searchByLogits(classifier, searches);
    return joinImages(searches.map(({ image }) => image));
  };
}

function point(ball: Ball, distribution: NoiseDistribution, stream: Stream): Float32Array {
  if (distribution === 'uniform') return ball.norm === 'l2' ? ball.start(uniformField(stream)) : ball.offset(uniformField(stream));
  const scale = ball.norm === 'l2' ? 1 : 0.5;
  const field = Float32Array.from({ length: IMAGE_VALUES }, () => scale * stream.normal());
  return ball.norm === 'l2' ? ball.start(field) : ball.offset(field);
}
