import { beforeAll, describe, expect, test } from 'vitest';
import {
  apgd,
  apgdTargeted,
  type Attack,
  type AttackRandom,
  type AttackLoss,
  attackLoss,
  Ball,
  eotPgd,
  IMAGE_VALUES,
  jitter,
  logitMargin,
  miFgsm,
  pifgsm,
  projectedGradient,
  sampleRandom,
  type Samples,
  square,
  type Stream,
} from '../../../src/attacks/index.ts';
import { tf } from '../../../src/engine/index.ts';
import { CompiledClassifier } from '../../../src/evaluation/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE } from '../../support/engines.ts';
import { expectIndependence } from '../../support/expect-independence.ts';
import { goldenBatch, goldenMissing, goldenParameters, goldenTitle, readGolden, toChannelsLast } from '../../support/golden.ts';
import { linearClassifier } from '../../support/linear-classifier.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** The generator of the golden vectors: see their README. */
function lcg(seed: number): Stream {
  let state = seed;
  return {
    uniform: () => {
      state = (Math.imul(1_664_525, state) + 1_013_904_223) >>> 0;
      return (state >>> 8) / 2 ** 24;
    },
    normal: () => {
      throw new Error('the golden vectors have no normal numbers');
    },
  };
}

describe('attackLoss', () => {
  const logits = [
    [3, 1, 0.5, -2],
    [0.25, 2, 1.5, 1],
  ];
  const oneHot = (classes: number[]) => tf.oneHot(tf.tensor1d(classes, 'int32'), 4).toFloat();
  const values = (name: AttackLoss) => Array.from(attackLoss(name, tf.tensor2d(logits), oneHot([0, 2]), oneHot([1, 3])).dataSync());

  test('is the definition of each loss', () => {
    expect(values('margin')).toEqual([-2, 0.5]);
    const dlr = values('dlr');
    expect(dlr[0]).toBeCloseTo(-2 / 2.5, 6);
    expect(dlr[1]).toBeCloseTo(0.5 / 1, 6);
    const targeted = values('dlr-targeted');
    expect(targeted[0]).toBeCloseTo((1 - 3) / (3 - (0.5 - 2) / 2), 6);
    expect(targeted[1]).toBeCloseTo((1 - 1.5) / (2 - (1 + 0.25) / 2), 6);
  });

  test('jitter does not see the scale of the logits', () => {
    const noise = tf.zeros([2, 4]);
    const at = (scale: number) => Array.from(attackLoss('jitter', tf.mul(tf.tensor2d(logits), scale), oneHot([0, 2]), noise).dataSync());
    for (const [i, value] of at(1).entries()) expect(at(1000)[i]).toBeCloseTo(value, 6);
    expect(at(1)[1]).toBeGreaterThan(at(1)[0] as number);
  });

  test('stays finite where all logits are equal', () => {
    const flat = tf.fill([1, 4], 1.5);
    for (const name of ['dlr', 'dlr-targeted', 'margin'] as const)
      expect(Array.from(attackLoss(name, flat, oneHot([0]), oneHot([1])).dataSync())).toEqual([0]);
  });
});

describe('ball', () => {
  const clean = Float32Array.from({ length: 8 }, (_, i) => i / 8);

  test('holds what was projected, exactly, in both norms', () => {
    const linf = new Ball('linf', clean, 0.1);
    const image = clean.map((value, i) => value + (i % 2 === 0 ? 3 : -3));
    linf.project(image);
    for (const [i, value] of image.entries()) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(1);
      expect(Math.abs(value - (clean[i] as number))).toBeLessThanOrEqual(0.1 + 1e-6);
    }
    const l2 = new Ball('l2', clean, 0.1);
    const far = clean.map((value) => value + 0.3);
    l2.project(far);
    expect(Math.hypot(...far.map((value, i) => value - (clean[i] as number)))).toBeLessThanOrEqual(0.1 + 1e-6);
    const near = clean.map((value) => Math.min(value + 0.01, 1));
    const before = near.slice();
    l2.project(near);
    for (const [i, value] of near.entries()) expect(value).toBeCloseTo(before[i] as number, 6);
  });

  test('starts on its border', () => {
    const field = Float32Array.of(0.5, -1, 0.25, 0, 0, 0, 0, 0);
    const inner = Float32Array.from({ length: 8 }, () => 0.5);
    const linf = new Ball('linf', inner, 0.1).start(field);
    expect(linf[1]).toBeCloseTo(0.4, 6);
    expect(linf[0]).toBeCloseTo(0.55, 6);
    const l2 = new Ball('l2', inner, 0.1).start(field);
    expect(Math.hypot(...l2.map((value) => value - 0.5))).toBeCloseTo(0.1, 6);
  });
});

describe('on a linear classifier', () => {
  // w x + b with |w|_1 = 2 * 3072 / 3072 = 2: an L-infinity ball of eps moves the logit by 2 eps.
  // One sign per channel, so that squares can reach the border too.
  const weights = Float32Array.from({ length: IMAGE_VALUES }, (_, i) => ((i % 3 === 0 ? 1 : -1) * 2) / IMAGE_VALUES);
  const images = new Float32Array(2 * IMAGE_VALUES).fill(0.5);
  const samples: Samples = { count: 2, images, labels: Int32Array.of(0, 0) };
  const atCentre = weights.reduce((sum, weight) => sum + weight * 0.5, 0);
  const classifier = (margin: number) => linearClassifier(weights, margin - atCentre);
  const found = async (attack: Attack, margin: number) => {
    const subject = classifier(margin);
    const result = await attack(subject, samples, sampleRandom(3, 0));
    const logits = await subject.logits({ count: 2, images: result });
    return [0, 1].map((row) => logitMargin(logits.subarray(2 * row, 2 * row + 2), 0) <= 0);
  };
  const eps = 0.1;
  const attacks: Record<string, Attack> = {
    bim: projectedGradient({ norm: 'linf', eps, stepSize: eps / 4, steps: 10 }),
    apgd: apgd({ norm: 'linf', eps, steps: 20 }),
    'apgd with the margin loss': apgd({ norm: 'linf', eps, steps: 20, loss: 'margin' }),
    pifgsm: pifgsm({ eps }),
    'mi-fgsm': miFgsm({ eps }),
    'eot-pgd': eotPgd({ eps, draws: 3 }),
    jitter: jitter({ eps }),
  };

  test.each(Object.keys(attacks))('%s breaks what lies within reach, and nothing beyond it', async (name) => {
    const attack = attacks[name] as Attack;
    expect(await found(attack, 2 * eps * 0.98)).toEqual([true, true]);
    expect(await found(attack, 2 * eps * 1.02)).toEqual([false, false]);
  });

  test('apgd in l2 reaches the distance to the border, and no further', async () => {
    const length = Math.hypot(...weights);
    expect(await found(apgd({ norm: 'l2', eps: 1, steps: 30 }), length * 0.98)).toEqual([true, true]);
    expect(await found(apgd({ norm: 'l2', eps: 1, steps: 30 }), length * 1.02)).toEqual([false, false]);
  });

  test('square gets nearer with queries and never leaves the ball', async () => {
    const close = await square({ eps, queries: 300 })(classifier(2 * eps * 0.5), samples, sampleRandom(3, 0));
    for (const value of close) expect(Math.abs(value - 0.5)).toBeLessThanOrEqual(eps + 1e-6);
    expect(await found(square({ eps, queries: 300 }), 2 * eps * 0.5)).toEqual([true, true]);
    expect(await found(square({ eps, queries: 300 }), 2 * eps * 1.02)).toEqual([false, false]);
  });
});

interface AttackJson {
  readonly params: { readonly eps: number; readonly steps: number; readonly alpha: number; readonly max_epsilon: number };
  readonly result: { readonly success: readonly boolean[] };
}

describe.skipIf(goldenMissing)(goldenTitle('searches golden'), () => {
  const SAMPLES = 32;
  const config = smallConfig(QUICK_ENGINE, { evaluation: { batchSize: 16 } });
  let classifier: CompiledClassifier;
  let samples: Samples;
  beforeAll(async () => {
    classifier = new CompiledClassifier(config, await engineOf(QUICK_ENGINE)).use(goldenParameters());
    const { image, labels } = goldenBatch(0, SAMPLES);
    samples = { count: SAMPLES, images: image.data as Float32Array, labels };
  });

  /** Start fields of the golden vectors: values in the order of channels, rows and columns; image i has the seed 1000 + i. */
  const goldenRandom: AttackRandom = { stream: (row) => lcg(1000 + row) };
  const goldenField = (stream: Stream) => {
    const field = Float32Array.from({ length: IMAGE_VALUES }, () => 2 * stream.uniform() - 1);
    return toChannelsLast(field, [1, 3, 32, 32]);
  };

  async function compare(name: string, attack: (params: AttackJson['params']) => Attack, random: AttackRandom = goldenRandom) {
    const file = readGolden(`adv_std_${name}`);
    const { params, result } = file.json as unknown as AttackJson;
    const actual = await attack(params)(classifier, samples, random);
    const logits = await classifier.logits({ count: SAMPLES, images: actual });
    const expected = toChannelsLast(file.tensor('adv').data, [SAMPLES, 3, 32, 32]);
    const off = Array.from({ length: SAMPLES }, (_, row) => {
      let count = 0;
      for (let i = row * IMAGE_VALUES; i < (row + 1) * IMAGE_VALUES; i++)
        if (Math.abs((actual[i] as number) - (expected[i] as number)) > 1e-4) count += 1;
      return count / IMAGE_VALUES;
    });
    const otherSuccess = result.success.filter(
      (success, row) => success !== logitMargin(logits.subarray(row * 10, row * 10 + 10), samples.labels[row] as number) <= 0,
    ).length;
    const worst = off.toSorted((a, b) => b - a);
    return { otherSuccess, off: worst, rest: worst.slice(2).reduce((sum, share) => sum + share, 0) / SAMPLES };
  }

  test.each([
    ['apgd_ce_2_10', 'linf', 'cross-entropy'],
    ['apgd_ce_1_50', 'linf', 'cross-entropy'],
    ['apgd_ce_l2_20', 'l2', 'cross-entropy'],
  ] as const)('apgd: gives the images of torchattacks (%s)', async (name, norm, loss) => {
    const { otherSuccess, rest } = await compare(name, ({ eps, steps }) =>
      apgd({ norm, eps, steps, loss, keepGoing: true, startField: goldenField }),
    );
    expect(otherSuccess).toBeLessThanOrEqual(1);
    expect(rest).toBeLessThan(0.005);
  });

  test('apgd-t: gives the images of torchattacks', async () => {
    const { otherSuccess, rest } = await compare('apgdt_2_10', ({ eps, steps }) =>
      apgdTargeted({ norm: 'linf', eps, steps, keepGoing: true, startField: goldenField }),
    );
    expect(otherSuccess).toBeLessThanOrEqual(1);
    expect(rest).toBeLessThan(0.005);
  });

  test('square: gives the images of torchattacks with its windows for the whole batch', async () => {
    const shared = lcg(7);
    const sign = () => Math.sign(2 * shared.uniform() - 1);
    const squares = new Map<number, { row: number; column: number; signs: number[] }>();
    const { otherSuccess, off } = await compare('square_2_200', ({ eps }) =>
      square({
        eps,
        queries: 200,
        rescaled: true,
        draws: () => ({
          stripes: () => Float32Array.from({ length: 96 }, sign),
          square: (query, side) => {
            const known = squares.get(query) ?? {
              row: Math.trunc((32 - side) * shared.uniform()),
              column: Math.trunc((32 - side) * shared.uniform()),
              signs: [sign(), sign(), sign()],
            };
            squares.set(query, known);
            return known;
          },
        }),
      }),
    );
    expect(otherSuccess).toBe(0);
    expect(off[0]).toBe(0);
  });

  test('pgd in l2, bim, pifgsm and jitter: give the images of torchattacks', async () => {
    const l2 = await compare('pgdl2', ({ eps, alpha, steps }) =>
      projectedGradient({ norm: 'l2', eps, stepSize: alpha, steps, keepGoing: true }),
    );
    expect(l2.otherSuccess).toBeLessThanOrEqual(1);
    expect(l2.rest).toBeLessThan(0.005);
    const bim = await compare('bim_4', ({ eps, alpha, steps }) =>
      projectedGradient({ norm: 'linf', eps, stepSize: alpha, steps, keepGoing: true }),
    );
    expect(bim.otherSuccess).toBeLessThanOrEqual(1);
    expect(bim.rest).toBeLessThan(0.005);
    const patch = await compare('pifgsm_16', ({ max_epsilon: eps }) => pifgsm({ eps, keepGoing: true }));
    expect(patch.otherSuccess).toBeLessThanOrEqual(1);
    expect(patch.rest).toBeLessThan(0.005);
    const scaled = await compare('jitter_nonoise', ({ eps, alpha, steps }) =>
      jitter({ eps, stepSize: alpha, steps, sigma: 0, randomStart: false, keepGoing: true }),
    );
    expect(scaled.otherSuccess).toBeLessThanOrEqual(1);
    expect(scaled.rest).toBeLessThan(0.005);
  });

  test('results of a sample do not depend on the samples beside it', async () => {
    const eps = 2 / 255;
    const attacks: Attack[] = [
      apgd({ norm: 'linf', eps, steps: 8, restarts: 2 }),
      apgdTargeted({ norm: 'linf', eps, steps: 5, targets: 2 }),
      square({ eps, queries: 20 }),
      eotPgd({ eps, draws: 2, steps: 2 }),
      jitter({ eps, steps: 4 }),
      projectedGradient({ norm: 'l2', eps: 0.3, stepSize: 0.1, steps: 4, randomStart: true }),
    ];
    await expectIndependence(classifier, samples, attacks, { firstIndex: 100 });
  });
});
