/** @file Fast Gradient Sign Method (Goodfellow, Shlens, Szegedy 2015, arXiv 1412.6572). */
import type { AttackSchedule } from './attack-schedule.ts';

/** x' = clamp(x + eps * sgn(g)): one step of size eps from the image itself. */
export function fgsm(epsLinf: number): AttackSchedule {
  return { steps: 1, stepSizeLinf: epsLinf, randomStart: false };
}
