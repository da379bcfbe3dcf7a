/** @file Small records of evaluations with invented figures. */
import {
  type AttackResult,
  type EvaluationRecord,
  formatAttackSpec,
  type MaskingDiagnostics,
  parseAttackSpec,
} from '../../src/config/index.ts';

/** An attack's result: the share of correct images, or which ones exactly. */
export interface MadeUpResult {
  readonly model?: number;
  /** As on the command line; absent = no attack. */
  readonly attack?: string;
  /** In 1/255 for linf, else as it is; absent for minimum-norm attacks. */
  readonly eps?: number;
  readonly accuracy?: number;
  readonly correct?: string;
  /** L2 distances; the other distances follow from them. */
  readonly distances?: readonly (number | null)[];
}

export interface MadeUpEvaluation {
  readonly models?: readonly string[];
  readonly count?: number;
  readonly results: readonly MadeUpResult[];
  readonly transfer?: readonly (MadeUpResult & { readonly source: number })[];
  readonly diagnostics?: readonly MaskingDiagnostics[];
  readonly fields?: Partial<EvaluationRecord>;
}

/** The first images are the last to fall, so that results of different attacks are nested. */
export function correctShare(accuracy: number, count: number): string {
  const correct = Math.round(accuracy * count);
  return '1'.repeat(correct) + '0'.repeat(count - correct);
}

/** A record with 10 classes in turn. */
export function madeUpEvaluation({
  models = ['deep'],
  count = 1000,
  results,
  transfer = [],
  diagnostics = [],
  fields = {},
}: MadeUpEvaluation): EvaluationRecord {
  const texts = [
    ...new Set(
      [...results, ...transfer].flatMap(({ attack }) => (attack === undefined ? [] : [formatAttackSpec(parseAttackSpec(attack))])),
    ),
  ];
  const attacks = texts.map(parseAttackSpec);
  const indexOf = (attack: string | undefined): number =>
    attack === undefined ? -1 : texts.indexOf(formatAttackSpec(parseAttackSpec(attack)));
  const epsOf = ({ attack, eps }: MadeUpResult): number | null =>
    attack === undefined || eps === undefined ? null : parseAttackSpec(attack).norm === 'linf' ? eps / 255 : eps;
  const correctOf = ({ correct, accuracy, distances }: MadeUpResult): string =>
    correct ?? distances?.map((one) => (one === null ? '1' : '0')).join('') ?? correctShare(accuracy ?? 0, count);
  const eps: Record<string, number[]> = {};
  for (const one of results) {
    const radius = epsOf(one);
    if (one.attack === undefined || radius === null) continue;
    const norm = parseAttackSpec(one.attack).norm;
    eps[norm] = [...new Set([...(eps[norm] ?? []), radius])].sort((a, b) => a - b);
  }
  return {
    format: 'deepdefense-evaluation/1',
    createdAt: '2026-11-23T09:00:00.000Z',
    command: 'deepdefense evaluate runs/a --attacks pgd',
    packageVersion: '0.1.0',
    engine: 'onnx:cpu made-up',
    hardware: '2 x made-up, 4 GiB',
    workers: 2,
    seed: 1,
    dataset: 'CIFAR-10 (JPEG-75)',
    datasetHash: 'ab'.repeat(32),
    images: { index: Array.from({ length: count }, (_, i) => 3 * i), label: Array.from({ length: count }, (_, i) => i % 10) },
    onlyCorrectByAll: false,
    models: models.map((label, index) => ({
      label,
      source: `runs/${label}`,
      strategy: label,
      model: 'cnn3',
      inputRange: 'unit',
      loss: 'cross-entropy',
      seed: index + 1,
      weightsSha256: 'cd'.repeat(32),
      ...(index === 0 && { training: { seconds: 83, epochs: 2, samplesPerSecond: 512.3, workers: 2 } }),
      config: { name: label, seed: index + 1 },
    })),
    attacks,
    eps,
    results: results.map(
      (one): AttackResult => ({
        model: one.model ?? 0,
        attack: indexOf(one.attack),
        eps: epsOf(one),
        correct: correctOf(one),
        ...(one.distances !== undefined && { distances: distancesFrom(one.distances) }),
        queries: { forward: 2 * count, gradient: 10 * count },
        seconds: 1.5,
      }),
    ),
    transfer: transfer.map((one) => ({
      source: one.source,
      target: one.model ?? 0,
      attack: indexOf(one.attack),
      eps: epsOf(one) ?? 0,
      correct: correctOf(one),
    })),
    diagnostics,
    wallSeconds: 12.5,
    ...fields,
  };
}

/** As if each perturbation changed one value of one pixel. */
function distancesFrom(l2: readonly (number | null)[]): NonNullable<AttackResult['distances']> {
  const map = (valueOf: (l2: number) => number) => l2.map((one) => (one === null ? null : valueOf(one)));
  return { l2, linf: l2, l1: l2, mse: map((one) => one ** 2 / 3072), l0: map((one) => Math.sign(one)) };
}

/** What the reference network measures, rounded; fields replace it. */
export const honestDiagnostics = (fields: Partial<MaskingDiagnostics> = {}): MaskingDiagnostics => ({
  model: 0,
  samples: 32,
  gradientNorm: { median: 1.66, zeroShare: 0, zeroValues: 0 },
  majoritySign: 0.512,
  logits: { medianRange: 6.8, largest: 7.05, medianConfidence: 0.445 },
  probabilityOutputs: 0,
  nondeterminism: 0,
  localLinearity: { eps: 8 / 255, gradientCosine: 0.84, error: 0.81 },
  directions: [
    { name: 'gradient', distances: [0, 0.25, 1], loss: [1.162, 1.592, 2.928] },
    { name: 'radial', distances: [0, 0.25, 1], loss: [1.162, 1.172, 1.201] },
    { name: 'tangential', distances: [0, 0.25, 1], loss: [1.162, 1.592, 2.926] },
    { name: 'random', distances: [0, 0.25, 1], loss: [1.162, 1.162, 1.169] },
  ],
  alignment: { crossEntropy: -0.01, mse: 0.04, targets: Array.from({ length: 9 }, (_, rank) => -0.005 * (rank + 1)) },
  ...fields,
});
