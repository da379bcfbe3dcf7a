/**
 * @file Projected gradient descent of any norm and loss as a search per sample. FGSM and the usual PGD are cheaper as compiled steps: see
 * attack-step.ts.
 */
import { type Attack, imageOf, joinImages, type Stream, uniformField } from './attack.ts';
import { Ball, type BallNorm } from './ball.ts';
import type { AttackLoss } from './classifier.ts';
import { DescentSearch } from './descent-search.ts';
import { searchByGradient } from './search.ts';

export interface PgdOptions {
  readonly norm: BallNorm;
  /** Radius in [0,1] pixel units. */
  readonly eps: number;
  /** In [0,1] pixel units; for `l2` and `l1` the length of a step in that norm. */
  readonly stepSize: number;
  readonly steps: number;
  /** Default `cross-entropy`. */
  readonly loss?: AttackLoss;
  /**
   * Default false. `linf`: uniform in the ball, cut to [0,1]. `l2`, `l1`: a uniform field scaled to a radius that is uniform in [0, eps].
   */
  readonly randomStart?: boolean;
  /** Random starts, each for the samples alone that withstood the ones before; default 1. More than one make sense with `randomStart` only. */
  readonly restarts?: number;
  /** Takes all steps of a start and returns its last image, whatever came before. Default: ends at the first misclassified one. */
  readonly keepGoing?: boolean;
}

/**
 * PGD (Madry et al. 2018, arXiv 1706.06083); without a random start BIM (Kurakin et al. 2017, arXiv 1607.02533). Returns the misclassified
 * image, else the one with the largest loss of all starts.
 */
export function projectedGradient(options: PgdOptions): Attack {
  const { norm, eps, stepSize, steps, loss = 'cross-entropy', randomStart = false, restarts = 1, keepGoing } = options;
  // One step from one start, FGSM, has nothing to choose from.
  const looksAtLast = keepGoing !== true && (steps > 1 || restarts > 1);
  return async (classifier, samples, random) => {
    const results = Array.from({ length: samples.count }, (_, row) => imageOf(samples, row));
    const losses = new Float64Array(samples.count).fill(Number.NEGATIVE_INFINITY);
    let withstanding = [...results.keys()];
    for (let restart = 0; restart < restarts && withstanding.length > 0; restart++) {
      const searches = withstanding.map((row) => {
        const ball = new Ball(norm, imageOf(samples, row), eps);
        return new DescentSearch({
          label: samples.labels[row] as number,
          start: randomStart ? randomPoint(ball, random.stream(row, restart)) : ball.clean,
          steps,
          keepGoing,
          looksAtLast,
          takeStep: (next, image, { gradient }) => ball.step(next, image, gradient, stepSize),
        });
      });
      await searchByGradient(classifier, loss, searches);
      for (const [index, row] of withstanding.entries()) {
        const { found, best, bestLoss } = searches[index] as DescentSearch;
        if (looksAtLast && !found && bestLoss <= (losses[row] as number)) continue;
        results[row] = best;
        losses[row] = bestLoss;
      }
      withstanding = withstanding.filter((_, index) => searches[index]?.found !== true);
    }
    return joinImages(results);
  };
}

/** See {@link PgdOptions.randomStart}. */
function randomPoint(ball: Ball, stream: Stream): Float32Array {
  if (ball.norm === 'linf') return ball.offset(uniformField(stream));
  return new Ball(ball.norm, ball.clean, ball.eps * stream.uniform()).start(uniformField(stream));
}
