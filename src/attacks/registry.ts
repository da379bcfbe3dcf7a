/** @file Attacks by name: as a training run ends with them, and as `deepdefense evaluate` runs them, with their settings. */
import type { AttackName, AttackSpec, Config } from '../config/index.ts';
import { apgd, apgdTargeted } from './apgd.ts';
import { type Attack, imageOf, joinImages, uniformField } from './attack.ts';
import type { AttackSchedule } from './attack-schedule.ts';
import { Ball, type BallNorm } from './ball.ts';
import type { AttackLoss } from './classifier.ts';
import { eotPgd } from './eot-pgd.ts';
import { fgsm } from './fgsm.ts';
import { jitter } from './jitter.ts';
import { miFgsm } from './mi-fgsm.ts';
import { PGD_STEPS, pgd } from './pgd.ts';
import { pifgsm } from './pifgsm.ts';
import { projectedGradient } from './projected-gradient.ts';
import { square } from './square.ts';

export type InTrainingAttack = Config['evaluation']['attacks'][number];

/** An attack of sign steps that run as one compiled program, or a search. */
export type EvaluationAttack =
  | { readonly kind: 'steps'; readonly schedule: AttackSchedule }
  | { readonly kind: 'search'; readonly attack: Attack };

const steps = (schedule: AttackSchedule): EvaluationAttack => ({ kind: 'steps', schedule });
const search = (attack: Attack): EvaluationAttack => ({ kind: 'search', attack });

/** By L-infinity radius in [0,1] pixel units. Settings are those of the original papers and of AutoAttack; see docs/attacks.md. */
export const ATTACKS: Readonly<Record<InTrainingAttack, (epsLinf: number) => EvaluationAttack>> = {
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

/** Settings of a spec; the catalogue says which there are, so a missing one is a bug. */
class Settings {
  readonly #spec: AttackSpec;

  constructor(spec: AttackSpec) {
    this.#spec = spec;
  }

  number(key: string): number {
    const value = this.#spec.settings[key];
    if (typeof value !== 'number') throw new Error(`attack ${this.#spec.name} has no number "${key}"`);
    return value;
  }

  get loss(): AttackLoss {
    return this.#spec.settings.loss as AttackLoss;
  }

  /** The norm, of a ball. */
  get ball(): BallNorm {
    const { name, norm } = this.#spec;
    if (norm !== 'linf' && norm !== 'l2') throw new Error(`attack ${name} has no radius in norm ${norm}`);
    return norm;
  }
}

type Creator = (settings: Settings, eps: number) => Attack;

/** See config/attack-catalogue.ts for names, norms and settings. */
const CREATORS: Readonly<Record<AttackName, Creator>> = {
  noise: (_, eps) => uniformNoise(eps),
  fgsm: ({ loss }, eps) => projectedGradient({ norm: 'linf', eps, stepSize: eps, steps: 1, loss }),
  bim: (settings, eps) => projectedGradient({ norm: 'linf', eps, stepSize: eps / 4, steps: settings.number('steps'), loss: settings.loss }),
  pgd: (settings, eps) =>
    projectedGradient({
      norm: settings.ball,
      eps,
      stepSize: eps / 4,
      steps: settings.number('steps'),
      loss: settings.loss,
      randomStart: true,
    }),
  'mi-fgsm': (settings, eps) => miFgsm({ eps, steps: settings.number('steps') }),
  pifgsm: (settings, eps) => pifgsm({ eps, steps: settings.number('steps'), amplification: settings.number('amplification') }),
  'eot-pgd': (settings, eps) => eotPgd({ eps, steps: settings.number('steps') }),
  jitter: (settings, eps) => jitter({ eps, steps: settings.number('steps') }),
  apgd: (settings, eps) =>
    apgd({ norm: settings.ball, eps, steps: settings.number('steps'), restarts: settings.number('restarts'), loss: settings.loss }),
  'apgd-dlr': (settings, eps) =>
    apgd({ norm: settings.ball, eps, steps: settings.number('steps'), restarts: settings.number('restarts'), loss: 'dlr' }),
  'apgd-t': (settings, eps) =>
    apgdTargeted({
      norm: settings.ball,
      eps,
      steps: settings.number('steps'),
      restarts: settings.number('restarts'),
      targets: settings.number('targets'),
    }),
  square: (settings, eps) => square({ eps, queries: settings.number('queries') }),
};

/**
 * The attack of a spec.
 * @param eps radius in [0,1] pixel units, of the spec's norm; without meaning for minimum-norm attacks
 */
export function createAttack(spec: AttackSpec, eps: number): Attack {
  return CREATORS[spec.name](new Settings(spec), eps);
}

/** One uniform point of the ball: what an attack without any knowledge finds. */
function uniformNoise(eps: number): Attack {
  return (_, samples, random) => {
    const moved = (row: number) => new Ball('linf', imageOf(samples, row), eps).offset(uniformField(random.stream(row, 0)));
    return Promise.resolve(joinImages(Array.from({ length: samples.count }, (__, row) => moved(row))));
  };
}
