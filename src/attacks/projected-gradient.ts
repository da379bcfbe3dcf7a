/**
 * @file Projected gradient descent of any norm and loss as a search per sample. FGSM and the usual PGD are cheaper as compiled steps: see
 * attack-step.ts.
 */
import { type Attack, imageOf, joinImages, uniformField } from './attack.ts';
import { Ball, type BallNorm } from './ball.ts';
import type { AttackLoss } from './classifier.ts';
import { DescentSearch } from './descent-search.ts';
import { searchByGradient } from './search.ts';

export interface PgdOptions {
  readonly norm: BallNorm;
  /** Radius in [0,1] pixel units. */
  readonly eps: number;
  /** In [0,1] pixel units; for `l2` the length of a step. */
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
  const { norm, eps, stepSize, steps, loss = 'cross-entropy', randomStart = false, keepGoing } = options;
  return async (classifier, samples, random) => {
    const searches = Array.from({ length: samples.count }, (_, row) => {
      const ball = new Ball(norm, imageOf(samples, row), eps);
      const stream = random.stream(row, 0);
      let start = ball.clean;
      if (randomStart && norm === 'linf') start = ball.offset(uniformField(stream));
      else if (randomStart) start = new Ball(norm, ball.clean, eps * stream.uniform()).start(uniformField(stream));
      return new DescentSearch({
        label: samples.labels[row] as number,
        start,
        steps,
        keepGoing,
        takeStep: (next, image, { gradient }) => ball.step(next, image, gradient, stepSize),
      });
    });
    await searchByGradient(classifier, loss, searches);
    return joinImages(searches.map(({ image }) => image));
  };
}
