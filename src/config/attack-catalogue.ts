/**
 * @file The attacks as plain data: what the command line, the coordinator and the reports need to know of them, with no tensor package.
 * What computes them is in src/attacks; docs/attacks.md has their sources.
 */

/** How a perturbation is measured: largest, Euclidean and summed change of a value; number of changed pixels. */
export const NORMS = ['linf', 'l2', 'l1', 'l0'] as const;
export type Norm = (typeof NORMS)[number];

/** A setting of an attack: a number or one of some words. */
export type AttackSetting =
  | { readonly default: number; readonly min: number; readonly max?: number; readonly integer?: boolean; readonly description: string }
  | { readonly default: string; readonly choices: readonly string[]; readonly description: string };

export interface AttackDescription {
  /** `bounded`: looks for a misclassified image within a radius. `minimum-norm`: for the nearest misclassified image. */
  readonly kind: 'bounded' | 'minimum-norm';
  /** Norms that its radius, or its distance, can be of; the first is the default. */
  readonly norms: readonly Norm[];
  /** What it needs of the network. */
  readonly sees: 'nothing' | 'decisions' | 'logits' | 'gradients';
  /** Passes of one image at full length, forward and backward counted as one, with the settings' defaults; for estimates and deadlines. */
  readonly passes: number;
  readonly summary: string;
  readonly settings: Readonly<Record<string, AttackSetting>>;
}

const steps = (count: number): AttackSetting => ({ default: count, min: 1, integer: true, description: 'Steps.' });
const restarts = (count: number): AttackSetting => ({
  default: count,
  min: 1,
  integer: true,
  description: 'Random starts, each for the images that withstood those before.',
});
const STARTS: AttackSetting = { default: 1, min: 1, integer: true, description: 'Starts: the clean image, then random points near it.' };
const TARGETS: AttackSetting = { default: 9, min: 1, integer: true, description: 'Classes to try, by the logits of the clean image.' };
const LOSS: AttackSetting = {
  default: 'cross-entropy',
  choices: ['cross-entropy', 'mse', 'margin', 'dlr'],
  description: 'What the attack climbs.',
};
const DECAY: AttackSetting = { default: 1, min: 0, description: 'Share of the direction that is kept from step to step.' };
const CONSTANT_SEARCH = {
  steps: { default: 1000, min: 1, integer: true, description: 'Steps for each value of c.' },
  searchSteps: { default: 9, min: 1, integer: true, description: 'Values of c to try; with 1 the first alone.' },
  c: { default: 0.001, min: 1e-12, description: 'The first value of c, the weight of misclassification against distance.' },
  learningRate: { default: 0.01, min: 1e-12, description: 'Of Adam in tanh space (cw), of the first step (ead).' },
  confidence: { default: 0, min: 0, description: 'Margin by which another class has to be ahead, in logits.' },
} as const;
const BETA: AttackSetting = { default: 0.001, min: 0, description: 'Weight of the L1 distance.' };
const GAMMA: AttackSetting = {
  default: 0.05,
  min: 0.0001,
  max: 0.99,
  description: 'Share by which the radius changes at the first steps.',
};

export const ATTACK_CATALOGUE = {
  noise: {
    kind: 'bounded',
    norms: ['linf', 'l2'],
    sees: 'decisions',
    passes: 1,
    summary: 'random points of the ball',
    settings: {
      distribution: { default: 'uniform', choices: ['uniform', 'gaussian'], description: 'Of the values of the noise.' },
      draws: { default: 1, min: 1, integer: true, description: 'Points to try.' },
    },
  },
  fgsm: {
    kind: 'bounded',
    norms: ['linf'],
    sees: 'gradients',
    passes: 2,
    summary: 'one step of eps (Goodfellow et al. 2015)',
    settings: { loss: LOSS },
  },
  bim: {
    kind: 'bounded',
    norms: ['linf'],
    sees: 'gradients',
    passes: 11,
    summary: 'steps of eps/4 from the image (Kurakin et al. 2017)',
    settings: { steps: steps(10), loss: LOSS },
  },
  pgd: {
    kind: 'bounded',
    norms: ['linf', 'l2', 'l1'],
    sees: 'gradients',
    passes: 11,
    summary: 'steps of eps/4 from a random point of the ball (Madry et al. 2018)',
    settings: { steps: steps(10), restarts: restarts(1), loss: LOSS },
  },
  'mi-fgsm': {
    kind: 'bounded',
    norms: ['linf'],
    sees: 'gradients',
    passes: 11,
    summary: 'steps of eps/10 along the momentum of normalised gradients (Dong et al. 2018)',
    settings: { steps: steps(10) },
  },
  'di-fgsm': {
    kind: 'bounded',
    norms: ['linf'],
    sees: 'gradients',
    passes: 10,
    summary: 'momentum FGSM at randomly resized copies, for transfer (Xie et al. 2019)',
    settings: {
      steps: steps(10),
      probability: { default: 0.5, min: 0, max: 1, description: 'Of a resized copy instead of the image itself.' },
      decay: DECAY,
    },
  },
  'ti-fgsm': {
    kind: 'bounded',
    norms: ['linf'],
    sees: 'gradients',
    passes: 11,
    summary: 'momentum FGSM along smoothed gradients, for transfer (Dong et al. 2019)',
    settings: {
      steps: steps(10),
      reach: { default: 2, min: 0, max: 16, integer: true, description: 'The kernel has 2 reach + 1 pixels a side.' },
      decay: DECAY,
    },
  },
  pifgsm: {
    kind: 'bounded',
    norms: ['linf'],
    sees: 'gradients',
    passes: 11,
    summary: 'patch-wise steps (Gao et al. 2020)',
    settings: {
      steps: steps(10),
      amplification: { default: 10, min: 0.1, description: 'Factor on the step eps/steps; 10 is made for transfer, 1 is stronger here.' },
    },
  },
  'eot-pgd': {
    kind: 'bounded',
    norms: ['linf'],
    sees: 'gradients',
    passes: 211,
    summary: 'PGD on the mean of gradients at the image and at noisy copies (Athalye et al. 2018)',
    settings: { steps: steps(10) },
  },
  jitter: {
    kind: 'bounded',
    norms: ['linf'],
    sees: 'gradients',
    passes: 11,
    summary: 'steps of eps/4 on scaled logits with noise on the probabilities (Schwinn et al. 2021)',
    settings: { steps: steps(10) },
  },
  apgd: {
    kind: 'bounded',
    norms: ['linf', 'l2'],
    sees: 'gradients',
    passes: 101,
    summary: 'Auto-PGD (Croce and Hein 2020)',
    settings: { steps: steps(100), restarts: restarts(1), loss: LOSS },
  },
  'apgd-dlr': {
    kind: 'bounded',
    norms: ['linf', 'l2'],
    sees: 'gradients',
    passes: 101,
    summary: 'Auto-PGD on the difference of logits ratio (Croce and Hein 2020)',
    settings: { steps: steps(100), restarts: restarts(1) },
  },
  'apgd-t': {
    kind: 'bounded',
    norms: ['linf', 'l2'],
    sees: 'gradients',
    passes: 909,
    summary: 'Auto-PGD on the targeted ratio, for each other class (Croce and Hein 2020)',
    settings: {
      steps: steps(100),
      restarts: restarts(1),
      targets: TARGETS,
    },
  },
  square: {
    kind: 'bounded',
    norms: ['linf', 'l2'],
    sees: 'logits',
    passes: 1700,
    summary: 'random squares, no gradients (Andriushchenko et al. 2020)',
    settings: { queries: { default: 5000, min: 1, integer: true, description: 'Looks at the logits.' } },
  },
  autoattack: {
    kind: 'bounded',
    norms: ['linf', 'l2'],
    sees: 'gradients',
    passes: 4500,
    summary: 'APGD, APGD-T, FAB-T and Square with fixed budgets, each on what withstood the ones before (Croce and Hein 2020)',
    settings: {},
  },
  'one-pixel': {
    kind: 'bounded',
    norms: ['l0'],
    sees: 'logits',
    passes: 13_500,
    summary: 'differential evolution of eps pixels (Su et al. 2019); eps counts pixels',
    settings: {
      population: { default: 400, min: 4, integer: true, description: 'Candidates of a generation.' },
      generations: { default: 100, min: 0, integer: true, description: 'Generations after the random one.' },
    },
  },
  deepfool: {
    kind: 'minimum-norm',
    norms: ['l2', 'linf'],
    sees: 'gradients',
    passes: 60,
    summary: 'steps to the nearest linearised boundary (Moosavi-Dezfooli et al. 2016)',
    settings: {
      steps: steps(50),
      overshoot: { default: 0.02, min: 0, description: 'Share by which the sum of all steps is made longer.' },
    },
  },
  sparsefool: {
    kind: 'minimum-norm',
    norms: ['l0'],
    sees: 'gradients',
    passes: 120,
    summary: "few values, the steepest first, across the plane near DeepFool's image (Modas et al. 2019)",
    settings: {
      steps: steps(20),
      lambda: { default: 3, min: 1, description: "Where the plane is taken, in lengths of DeepFool's perturbation." },
      overshoot: { default: 0.02, min: 0, description: 'Share by which the change is made longer.' },
    },
  },
  fab: {
    kind: 'minimum-norm',
    norms: ['linf', 'l2', 'l1'],
    sees: 'gradients',
    passes: 1100,
    summary: 'to the nearest linearised boundary, drawn to the clean image (Croce and Hein 2020)',
    settings: { steps: steps(100), restarts: STARTS },
  },
  'fab-t': {
    kind: 'minimum-norm',
    norms: ['linf', 'l2', 'l1'],
    sees: 'gradients',
    passes: 1800,
    summary: 'FAB to one class after the other (Croce and Hein 2020)',
    settings: { steps: steps(100), restarts: STARTS, targets: TARGETS },
  },
  cw: {
    kind: 'minimum-norm',
    norms: ['l2'],
    sees: 'gradients',
    passes: 9000,
    summary: 'descent in tanh space with a search over the constant c (Carlini and Wagner 2017)',
    settings: CONSTANT_SEARCH,
  },
  'ead-en': {
    kind: 'minimum-norm',
    norms: ['l2'],
    sees: 'gradients',
    passes: 13_500,
    summary: 'elastic net; nearest by squared L2 + beta L1 (Chen et al. 2018)',
    settings: { ...CONSTANT_SEARCH, beta: BETA },
  },
  'ead-l1': {
    kind: 'minimum-norm',
    norms: ['l1'],
    sees: 'gradients',
    passes: 13_500,
    summary: 'elastic net; nearest by L1 (Chen et al. 2018)',
    settings: { ...CONSTANT_SEARCH, beta: BETA },
  },
  ddn: {
    kind: 'minimum-norm',
    norms: ['l2'],
    sees: 'gradients',
    passes: 302,
    summary: 'direction by the gradient, length by success (Rony et al. 2019)',
    settings: { steps: steps(300), gamma: GAMMA },
  },
  fmn: {
    kind: 'minimum-norm',
    norms: ['linf', 'l2', 'l1', 'l0'],
    sees: 'gradients',
    passes: 1002,
    summary: 'ascent in a ball that shrinks with success (Pintor et al. 2021)',
    settings: { steps: steps(1000), gamma: GAMMA },
  },
  'hop-skip-jump': {
    kind: 'minimum-norm',
    norms: ['l2', 'linf'],
    sees: 'decisions',
    passes: 1700,
    summary: 'walk along the decision boundary (Chen et al. 2020)',
    settings: {
      queries: { default: 5000, min: 1, integer: true, description: 'Looks at the decision.' },
      evaluations: { default: 100, min: 1, integer: true, description: 'Looks for the first estimate of a direction.' },
    },
  },
} as const satisfies Readonly<Record<string, AttackDescription>>;

export type AttackName = keyof typeof ATTACK_CATALOGUE;

/** The description of an attack, without its literal types. */
export function describeAttack(name: AttackName): AttackDescription {
  return ATTACK_CATALOGUE[name];
}

/** Bounded attacks with an L-infinity radius that a training run can end with (`evaluation.attacks`). */
export const IN_TRAINING_ATTACKS = [
  'noise',
  'fgsm',
  'bim',
  'pgd',
  'mi-fgsm',
  'pifgsm',
  'eot-pgd',
  'jitter',
  'apgd',
  'apgd-dlr',
  'apgd-t',
  'square',
] as const satisfies readonly AttackName[];
