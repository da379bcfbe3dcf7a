import type { Config } from '../config/index.ts';
import type { AttackSchedule } from './attack-schedule.ts';
import { fgsm } from './fgsm.ts';
import { pgd } from './pgd.ts';

export type { AttackSchedule } from './attack-schedule.ts';
export { createAttackStep } from './attack-step.ts';
export { fgsm } from './fgsm.ts';
export { type LinfBall, linfBall, projectToBall } from './linf-ball.ts';
export { PGD_STEPS, pgd } from './pgd.ts';
export { addScaledNoise, fillUniformNoise } from './random-start.ts';
export { type SignStepOptions, signStep } from './sign-step.ts';

export type AttackName = Config['evaluation']['attacks'][number];

/** Attacks by the name that a config uses, each for a radius in [0,1] pixel units. */
export const ATTACKS: Readonly<Record<AttackName, (epsLinf: number) => AttackSchedule>> = { fgsm, pgd };
