/** @file Records of sweeps with invented figures. */
import { Random } from '../../src/core/index.ts';
import type { CandidateRecord, MeasurementRecord, ObjectiveRecord, SweepRecord } from '../../src/sweeps/index.ts';

export const ACCURACIES: readonly ObjectiveRecord[] = [
  { name: 'clean-accuracy', goal: 'maximize', unit: 'share' },
  { name: 'robust-accuracy at 4/255', goal: 'maximize', unit: 'share' },
];

/** `values[rung][seed]` = one value per objective, undefined where the trial failed; absent seeds aren't measured yet. */
export interface MadeUpCandidate {
  readonly parameters?: CandidateRecord['parameters'];
  readonly values: readonly (readonly (readonly number[] | undefined)[])[];
  readonly state?: CandidateRecord['state'];
  readonly reason?: string;
  readonly flags?: readonly string[];
}

export interface MadeUpSweep {
  readonly candidates: readonly MadeUpCandidate[];
  readonly rungs?: number;
  readonly fields?: Partial<SweepRecord>;
}

/** Seeds are 11, 12, ...; epochs of the rungs 1, 3, 9, ... */
export function madeUpSweep({ candidates, rungs = 1, fields = {} }: MadeUpSweep): SweepRecord {
  const seeds = Math.max(1, ...candidates.flatMap(({ values }) => values.map((rung) => rung.length)));
  const made = candidates.map((one, index) => madeUpCandidate(one, index));
  return {
    sweepId: 'made-up-20261123-090000-abcd',
    name: 'made-up',
    state: 'completed',
    packageVersion: '0.1.0',
    startedAt: '2026-11-23T09:00:00.000Z',
    endedAt: '2026-11-23T11:30:00.000Z',
    seed: 7,
    seeds: Array.from({ length: seeds }, (_, i) => 11 + i),
    mode: 'timing-invariant',
    lanes: 6,
    sampler: 'tpe',
    scheduler: rungs > 1 ? 'asha' : 'none',
    rungs: Array.from({ length: rungs }, (_, rung) => ({
      epochs: 3 ** rung,
      attacks: ['fgsm', 'pgd', 'apgd'].slice(0, rung + 1),
      robustSamples: 500,
    })),
    objectives: ACCURACIES,
    parameters: [],
    candidates: made,
    workerSeconds: made.flatMap(({ measurements }) => measurements).reduce((sum, { seconds }) => sum + seconds, 0),
    dataset: 'CIFAR-10 (JPEG-75)',
    engines: ['onnx:cpu made-up'],
    subject: 'cnn3, strategy deep',
    decisionsSha256: 'ab'.repeat(32),
    ...fields,
  };
}

function madeUpCandidate(
  { parameters = {}, values, state = 'completed', reason = '', flags = [] }: MadeUpCandidate,
  candidate: number,
): CandidateRecord {
  const measurements = values.flatMap((seeds, rung) =>
    seeds.map(
      (own, index): MeasurementRecord => ({
        seed: 11 + index,
        rung,
        epochs: 3 ** rung,
        values: own,
        details: own === undefined ? {} : { 'fgsm@4/255': own.at(-1) as number },
        flags,
        seconds: 60 * (rung + 1),
        worker: 'worker-1',
        ...(own === undefined && { error: { code: 'TRAINING_DIVERGED', message: 'the loss is not finite' } }),
      }),
    ),
  );
  return { candidate, parameters, state, reason, measurements, trials: values[0]?.map((_, index) => `${candidate}-${index}`) ?? [] };
}

export const LAYERS = ['input', 'conv1', 'conv2', 'conv3'] as const;

/**
 * A sweep over sparse layer weights with three rungs, of which a third of the candidates is promoted. Clean accuracy falls and robust
 * accuracy rises with `strategy.gfa.strength`; the input's weight helps robustness; the learning rate does nothing.
 */
export function layerSweep({
  count = 60,
  seeds = 3,
  seed = 1,
}: {
  readonly count?: number;
  readonly seeds?: number;
  readonly seed?: number;
} = {}): SweepRecord {
  const candidates = Array.from({ length: count }, (_, index) => layerCandidate(new Random('sweep', seed, index), index, seeds));
  const sum = ({ values }: MadeUpCandidate, rung: number): number => (values[rung]?.[0] ?? []).reduce((total, value) => total + value, 0);
  let alive = candidates.map((_, index) => index);
  const reached = new Map<number, number>();
  for (let rung = 1; rung <= 2; rung++) {
    alive = alive
      .toSorted((a, b) => sum(candidates[b] as MadeUpCandidate, rung - 1) - sum(candidates[a] as MadeUpCandidate, rung - 1))
      .slice(0, Math.ceil(alive.length / 2));
    for (const index of alive) reached.set(index, rung);
  }
  return madeUpSweep({
    rungs: 3,
    candidates: candidates.map((one, index) => {
      const top = reached.get(index) ?? 0;
      const failed = index === 5;
      const values = failed ? [[undefined, ...(one.values[0]?.slice(1) ?? [])]] : one.values.slice(0, top + 1);
      const stopped = index % 17 === 9 && top < 2;
      return {
        ...one,
        values,
        state: failed ? 'failed' : top === 2 ? 'completed' : stopped ? 'stopped' : 'paused',
        reason: failed ? 'TRAINING_DIVERGED: the loss is not finite' : stopped ? 'signs of masked gradients' : '',
        flags: stopped ? ['PGD leaves more images right than FGSM (31.0 % against 28.4 %)'] : [],
      };
    }),
    fields: {
      parameters: [
        { name: 'strategy.gfa.alignment', scale: 'category' },
        { name: 'strategy.gfa.strength', scale: 'log', low: 0.1, high: 30 },
        { name: 'optimizer.learningRate', scale: 'log', low: 0.0001, high: 0.01 },
        ...LAYERS.map((layer) => ({ name: `strategy.gfa.weights.${layer}`, scale: 'linear' as const, low: 0, high: 1 })),
      ],
    },
  });
}

function layerCandidate(random: Random, index: number, seeds: number): MadeUpCandidate {
  const weights: number[] = LAYERS.map(() => (random.uniform() < 0.5 ? 0 : Number((0.05 + 0.95 * random.uniform()).toPrecision(3))));
  if (!weights.some((weight) => weight > 0)) weights[index % LAYERS.length] = 0.5;
  const strength = Number((0.1 * 300 ** random.uniform()).toPrecision(4));
  const push = Math.log(strength / 0.1) / Math.log(300);
  const alignment = ['tangential-energy', 'negative-gradient', 'squared'][random.integer(3)] as string;
  const values = [0, 1, 2].map((rung) =>
    Array.from({ length: seeds }, () => {
      const clean = 0.5 + 0.09 * rung - 0.16 * push ** 2 - (alignment === 'squared' ? 0.02 : 0) + 0.008 * random.normal();
      const robust = 0.14 + 0.04 * rung + 0.14 * push + 0.09 * (weights[0] as number) + 0.008 * random.normal();
      return [clean, robust].map((value) => Number(Math.min(0.99, Math.max(0.01, value)).toFixed(4)));
    }),
  );
  return {
    parameters: {
      'strategy.gfa.alignment': alignment,
      'strategy.gfa.strength': strength,
      'optimizer.learningRate': Number((0.0001 * 100 ** random.uniform()).toPrecision(4)),
      ...Object.fromEntries(LAYERS.map((layer, i) => [`strategy.gfa.weights.${layer}`, weights[i] as number])),
    },
    values,
  };
}
