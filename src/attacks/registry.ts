/** @file Attacks by name: as a training run ends with them, and as `deepdefense evaluate` runs them, with their settings. */
import type { AttackName, AttackSpec, Config, Norm } from '../config/index.ts';
import { apgd, apgdTargeted } from './apgd.ts';
import type { Attack } from './attack.ts';
import type { AttackSchedule } from './attack-schedule.ts';
import { autoAttack } from './auto-attack.ts';
import type { BallNorm } from './ball.ts';
import type { AttackLoss } from './classifier.ts';
import { diFgsm } from './di-fgsm.ts';
import { type CwOptions, cw } from './cw.ts';
import { ddn } from './ddn.ts';
import { deepFool } from './deepfool.ts';
import { type EadOptions, ead } from './ead.ts';
import { eotPgd } from './eot-pgd.ts';
import { fab, fabTargeted } from './fab.ts';
import { fgsm } from './fgsm.ts';
import { fmn } from './fmn.ts';
import { hopSkipJump } from './hop-skip-jump.ts';
import { jitter } from './jitter.ts';
import { miFgsm } from './mi-fgsm.ts';
import { noise, type NoiseDistribution } from './noise.ts';
import { onePixel } from './one-pixel.ts';
import { PGD_STEPS, pgd } from './pgd.ts';
import { pifgsm } from './pifgsm.ts';
import { projectedGradient } from './projected-gradient.ts';
import { sparseFool } from './sparse-fool.ts';
import { square } from './square.ts';
import { squareL2 } from './square-l2.ts';
import { tiFgsm } from './ti-fgsm.ts';

export type InTrainingAttack = Config['evaluation']['attacks'][number];

/** An attack of sign steps that run as one compiled program, or a search. */
export type EvaluationAttack =
  | { readonly kind: 'steps'; readonly schedule: AttackSchedule }
  | { readonly kind: 'search'; readonly attack: Attack };

const steps = (schedule: AttackSchedule): EvaluationAttack => ({ kind: 'steps', schedule });
const search = (attack: Attack): EvaluationAttack => ({ kind: 'search', attack });

/** By L-infinity radius in [0,1] pixel units. Settings are those of the original papers and of AutoAttack; see docs/attacks.md. */
export const ATTACKS: Readonly<Record<InTrainingAttack, (epsLinf: number) => EvaluationAttack>> = {
  noise: (eps) => search(noise({ norm: 'linf', eps })),
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

  get distribution(): NoiseDistribution {
    return this.#spec.settings.distribution as NoiseDistribution;
  }

  get norm(): Norm {
    return this.#spec.norm;
  }

  /** The norm, of a ball. */
  get ball(): BallNorm {
    const { name, norm } = this.#spec;
    if (norm === 'l0') throw new Error(`attack ${name} has no radius in norm ${norm}`);
    return norm;
  }

  /** The norm of attacks that know no other. */
  get linfOrL2(): 'linf' | 'l2' {
    const { ball } = this;
    if (ball === 'l1') throw new Error(`attack ${this.#spec.name} has no norm l1`);
    return ball;
  }
}

/** Settings of the attacks with a constant c. */
function constantSearch(settings: Settings): Required<Omit<CwOptions, 'compatibility'>> {
  return {
    steps: settings.number('steps'),
    searchSteps: settings.number('searchSteps'),
    c: settings.number('c'),
    learningRate: settings.number('learningRate'),
    confidence: settings.number('confidence'),
  };
}

function elasticNet(rule: EadOptions['rule'], settings: Settings): EadOptions {
  return { rule, beta: settings.number('beta'), ...constantSearch(settings) };
}

type Creator = (settings: Settings, eps: number) => Attack;

/** See config/attack-catalogue.ts for names, norms and settings. */
const CREATORS: Readonly<Record<AttackName, Creator>> = {
  noise: (settings, eps) => noise({ norm: settings.linfOrL2, eps, distribution: settings.distribution, draws: settings.number('draws') }),
  fgsm: ({ loss }, eps) => projectedGradient({ norm: 'linf', eps, stepSize: eps, steps: 1, loss }),
  bim: (settings, eps) => projectedGradient({ norm: 'linf', eps, stepSize: eps / 4, steps: settings.number('steps'), loss: settings.loss }),
  pgd: (settings, eps) =>
    projectedGradient({
      norm: settings.ball,
      eps,
      stepSize: eps / 4,
      steps: settings.number('steps'),
      restarts: settings.number('restarts'),
      loss: settings.loss,
      randomStart: true,
    }),
  'mi-fgsm': (settings, eps) => miFgsm({ eps, steps: settings.number('steps') }),
  'di-fgsm': (settings, eps) =>
    diFgsm({ eps, steps: settings.number('steps'), probability: settings.number('probability'), decay: settings.number('decay') }),
  'ti-fgsm': (settings, eps) =>
    tiFgsm({ eps, steps: settings.number('steps'), kernel: 2 * settings.number('reach') + 1, decay: settings.number('decay') }),
  pifgsm: (settings, eps) => pifgsm({ eps, steps: settings.number('steps'), amplification: settings.number('amplification') }),
  'eot-pgd': (settings, eps) => eotPgd({ eps, steps: settings.number('steps') }),
  jitter: (settings, eps) => jitter({ eps, steps: settings.number('steps') }),
  apgd: (settings, eps) =>
    apgd({ norm: settings.linfOrL2, eps, steps: settings.number('steps'), restarts: settings.number('restarts'), loss: settings.loss }),
  'apgd-dlr': (settings, eps) =>
    apgd({ norm: settings.linfOrL2, eps, steps: settings.number('steps'), restarts: settings.number('restarts'), loss: 'dlr' }),
  'apgd-t': (settings, eps) =>
    apgdTargeted({
      norm: settings.linfOrL2,
      eps,
      steps: settings.number('steps'),
      restarts: settings.number('restarts'),
      targets: settings.number('targets'),
    }),
  square: (settings, eps) => (settings.linfOrL2 === 'l2' ? squareL2 : square)({ eps, queries: settings.number('queries') }),
  autoattack: (settings, eps) => autoAttack({ norm: settings.linfOrL2, eps }),
  'one-pixel': (settings, eps) =>
    onePixel({ pixels: eps, population: settings.number('population'), generations: settings.number('generations') }),
  deepfool: (settings) => deepFool({ norm: settings.linfOrL2, steps: settings.number('steps'), overshoot: settings.number('overshoot') }),
  sparsefool: (settings) =>
    sparseFool({ steps: settings.number('steps'), lambda: settings.number('lambda'), overshoot: settings.number('overshoot') }),
  fab: (settings) => fab({ norm: settings.ball, steps: settings.number('steps'), restarts: settings.number('restarts') }),
  'fab-t': (settings) =>
    fabTargeted({
      norm: settings.ball,
      steps: settings.number('steps'),
      restarts: settings.number('restarts'),
      targets: settings.number('targets'),
    }),
  cw: (settings) => cw(constantSearch(settings)),
  'ead-en': (settings) => ead(elasticNet('en', settings)),
  'ead-l1': (settings) => ead(elasticNet('l1', settings)),
  ddn: (settings) => ddn({ steps: settings.number('steps'), gamma: settings.number('gamma') }),
  fmn: (settings) => fmn({ norm: settings.norm, steps: settings.number('steps'), gamma: settings.number('gamma') }),
  'hop-skip-jump': (settings) =>
    hopSkipJump({ norm: settings.linfOrL2, queries: settings.number('queries'), initialEvaluations: settings.number('evaluations') }),
};

/**
 * The attack of a spec.
 * @param eps radius of the spec's norm, in [0,1] pixel units (`l0`: a number of pixels); without meaning for minimum-norm attacks
 */
export function createAttack(spec: AttackSpec, eps: number): Attack {
  return CREATORS[spec.name](new Settings(spec), eps);
}
