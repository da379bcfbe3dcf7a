/** @file Projected gradient descent in the L-infinity ball (Madry et al. 2018, arXiv 1706.06083). */
import type { AttackSchedule } from './attack-schedule.ts';

/** Steps of the evaluation attack. */
export const PGD_STEPS = 10;

/**
 * x <- P(x + eps/4 * sgn(g)), 10 times, from x + U(-eps, eps) clamped to [0,1]; one start, and the last iterate is the result.
 * The step is 2/255 at eps 8/255, the paper's, and scales with eps; 10 steps can cross the whole ball.
 */
export function pgd(epsLinf: number, steps: number = PGD_STEPS): AttackSchedule {
  return { steps, stepSizeLinf: epsLinf / 4, randomStart: true };
}
