/** @file Attacks by the name that a config uses, each for an L-infinity radius in [0,1] pixel units. */
import type { Config } from '../config/index.ts';
import { apgd, apgdTargeted } from './apgd.ts';
import { type Attack, imageOf, joinImages, uniformField } from './attack.ts';
import type { AttackSchedule } from './attack-schedule.ts';
import { Ball } from './ball.ts';
import { eotPgd } from './eot-pgd.ts';
import { fgsm } from './fgsm.ts';
import { jitter } from './jitter.ts';
import { miFgsm } from './mi-fgsm.ts';
import { PGD_STEPS, pgd } from './pgd.ts';
import { pifgsm } from './pifgsm.ts';
import { projectedGradient } from './projected-gradient.ts';
import { square } from './square.ts';

export type AttackName = Config['evaluation']['attacks'][number];

/** An attack of sign steps that run as one compiled program, or a search. */
export type EvaluationAttack =
  | { readonly kind: 'steps'; readonly schedule: AttackSchedule }
  | { readonly kind: 'search'; readonly attack: Attack };

const steps = (schedule: AttackSchedule): EvaluationAttack => ({ kind: 'steps', schedule });
const search = (attack: Attack): EvaluationAttack => ({ kind: 'search', attack });

/** Settings are those of the original papers and of AutoAttack; see docs/attacks.md. */
export const ATTACKS: Readonly<Record<AttackName, (epsLinf: number) => EvaluationAttack>> = {
  noise: (eps) => search(uniformNoise(eps)),
  fgsm: (eps) => steps(fgsm(eps)),
  bim: (eps) => search(projectedGradient({ norm: 'linf', eps, stepSize: eps / 4, steps: PGD_STEPS })),
  pgd: (eps) => steps(pgd(eps)),
  'mi-fgsm': (eps) => search(miFgsm({ eps })),
  pifgsm: (eps) => search(pifgsm({ eps })),
  'eot-pgd': (eps) => search(eotPgd({ eps })),
  jitter: (eps) => search(jitter({ eps })),
  apgd: (eps) => search(apgd({ norm: 'linf', eps })),
  'apgd-dlr': (eps) => search(apgd({ norm: 'linf', eps, loss: 'dlr' })),
  'apgd-t': (eps) => search(apgdTargeted({ norm: 'linf', eps })),
  square: (eps) => search(square({ eps })),
};

/** One uniform point of the ball: what an attack without any knowledge finds. */
function uniformNoise(eps: number): Attack {
  return (_, samples, random) => {
    const moved = (row: number) => new Ball('linf', imageOf(samples, row), eps).offset(uniformField(random.stream(row, 0)));
    return Promise.resolve(joinImages(Array.from({ length: samples.count }, (__, row) => moved(row))));
  };
}
