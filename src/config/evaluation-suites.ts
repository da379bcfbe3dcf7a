/** @file Named sets of attacks for `deepdefense evaluate`. */

export interface EvaluationSuite {
  readonly summary: string;
  /** As `parseAttackSpec` reads them. */
  readonly attacks: readonly string[];
  /** L-infinity radii as `parseEpsList` reads them. */
  readonly eps: string;
  /** Test images. */
  readonly samples: number;
}

export type SuiteName = 'quick' | 'standard' | 'paper';

export const EVALUATION_SUITES: Readonly<Record<SuiteName, EvaluationSuite>> = {
  quick: {
    summary: 'a first look, in minutes; says nothing certain about robustness',
    attacks: ['noise', 'fgsm', 'pgd', 'apgd-dlr:steps=20'],
    eps: '2/255,4/255,8/255',
    samples: 200,
  },
  standard: {
    summary: 'attacks that differ in what they need, strong enough for claims',
    attacks: [
      'noise',
      'fgsm',
      'pgd:steps=20',
      'pgd:steps=100:restarts=10',
      'apgd',
      'apgd:loss=mse',
      'apgd-dlr',
      'apgd-t',
      'fab-t',
      'square',
      'deepfool',
    ],
    eps: '2/255,4/255,8/255',
    samples: 1000,
  },
  paper: {
    summary: 'the attacks that the paper compares',
    attacks: [
      'fgsm',
      'bim',
      'pgd',
      'eot-pgd',
      'pifgsm',
      'jitter',
      'apgd',
      'apgd-t',
      'fab',
      'square',
      'autoattack',
      'deepfool',
      'sparsefool',
      'ead-en',
      'ead-l1',
      'cw',
      'one-pixel',
    ],
    eps: '0,0.5/255,1/255,2/255,4/255,8/255,16/255',
    samples: 1000,
  },
};
