import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultNetwork } from '../../../src/config/index.ts';
import { Random, type TensorValue } from '../../../src/core/index.ts';
import { type ImageSet, syntheticDataset } from '../../../src/data/index.ts';
import { createPredict, Evaluator, meanAlignment } from '../../../src/evaluation/index.ts';
import { initialParameters } from '../../../src/nn/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';
import { goldenMissing, goldenParameters, goldenTitle, readGolden } from '../../support/golden.ts';

describe('accuracy', () => {
  test('meanAlignment: averages cosines over samples with a gradient, norms over all', () => {
    const mean = meanAlignment({ layer: 'conv1', cosine: [0.5, -0.25, 0, 0], gradientNorm: [2, 4, 0, 6], zeroGradient: [0, 0, 1, 0] });
    expect(mean).toEqual({ layer: 'conv1', cosine: 0.25 / 3, absCosine: 0.25, gradientNorm: 3, zeroGradient: 0.25 });
  });
});

describe('Evaluator', () => {
  const images = syntheticDataset({ trainCount: 1, testCount: 23, seed: 3 }).test;
  const config = smallConfig(QUICK_ENGINE, { evaluation: { batchSize: 8 }, seed: 6 });
  const flat = initialParameters(defaultNetwork('cnn3'), 'he', 2);
  const parameters: TensorValue = { shape: [flat.length], dtype: 'float32', data: flat };
  let evaluator: Evaluator;
  beforeAll(async () => {
    evaluator = new Evaluator(config, await engineOf(QUICK_ENGINE), images);
  });
  afterAll(() => evaluator.dispose());

  test('Evaluator: ignores the padding of a partial batch and the cut into ranges', async () => {
    const whole = await evaluator.clean(parameters, { first: 0, count: 23 });
    const parts = [await evaluator.clean(parameters, { first: 0, count: 5 }), await evaluator.clean(parameters, { first: 5, count: 18 })];
    expect(whole.correct.length).toBe(23);
    expect(parts.flatMap(({ correct }) => [...correct])).toEqual([...whole.correct]);
    expect(parts.reduce((sum, { lossSum }) => sum + lossSum, 0)).toBeCloseTo(whole.lossSum, 4);
    expect((await evaluator.clean(parameters, { first: 20, count: 100 })).correct.length).toBe(3);
  });

  test('Evaluator: an attack raises the loss, never mends a wrong image, and starts the same whatever the cut', async () => {
    const clean = await evaluator.clean(parameters, { first: 0, count: 23 });
    const fgsm = await evaluator.attacked(parameters, 'fgsm', 4 / 255, { first: 0, count: 23 });
    const pgd = await evaluator.attacked(parameters, 'pgd', 4 / 255, { first: 0, count: 23 });
    expect(fgsm.lossSum).toBeGreaterThan(clean.lossSum);
    expect(pgd.lossSum).toBeGreaterThan(fgsm.lossSum);
    for (const attacked of [fgsm, pgd]) expect(attacked.correct.every((value, i) => value <= (clean.correct[i] as number))).toBe(true);
    const tail = await evaluator.attacked(parameters, 'pgd', 4 / 255, { first: 20, count: 3 });
    const head = await evaluator.attacked(parameters, 'pgd', 4 / 255, { first: 0, count: 20 });
    expect(head.lossSum + tail.lossSum).toBeCloseTo(pgd.lossSum, 1);
    const nothing = await evaluator.attacked(parameters, 'pgd', 0, { first: 0, count: 23 });
    expect(nothing.lossSum).toBeCloseTo(clean.lossSum, 4);
  });

  test('Evaluator: measures alignment of the configured layers', async () => {
    const layers = await evaluator.alignment(parameters, { first: 0, count: 23 });
    expect(layers.map(({ layer }) => layer)).toEqual(['conv1', 'conv2', 'conv3']);
    for (const { cosine, absCosine, gradientNorm, zeroGradient } of layers) {
      expect(absCosine).toBeGreaterThan(Math.abs(cosine) - 1e-9);
      expect(absCosine).toBeLessThan(1);
      expect(gradientNorm).toBeGreaterThan(0.01);
      expect(zeroGradient).toBe(0);
    }
  });

  test('createPredict: calls a network without preference wrong everywhere', async () => {
    const random = new Random('synthetic', 1);
    const target = new Float32Array(20);
    target.set([1], 0);
    target.set([1], 14);
    const outputs = await runOnce(QUICK_ENGINE, createPredict(config, 2), {
      parameters: { shape: [146122], dtype: 'float32', data: new Float32Array(146122) },
      image: { shape: [2, 32, 32, 3], dtype: 'float32', data: Float32Array.from({ length: 6144 }, () => random.uniform()) },
      target: { shape: [2, 10], dtype: 'float32', data: target },
    });
    expect([...valuesOf(outputs, 'correct')]).toEqual([0, 0]);
    for (const loss of valuesOf(outputs, 'loss')) expect(loss).toBeCloseTo(Math.log(10), 5);
  });
});

describe.skipIf(goldenMissing)(goldenTitle('Evaluator golden'), () => {
  test('Evaluator: finds the images right that torchattacks leaves right', async () => {
    const file = readGolden('images256');
    const images: ImageSet = {
      count: 32,
      pixels: file.tensor('images').data.slice(0, 32 * 3072) as Uint8Array,
      labels: Uint8Array.from(file.tensor('labels').data.subarray(0, 32)),
    };
    const evaluator = new Evaluator(smallConfig(QUICK_ENGINE, { evaluation: { batchSize: 20 } }), await engineOf(QUICK_ENGINE), images);
    const range = { first: 0, count: 32 };
    const clean = await evaluator.clean(goldenParameters(), range);
    const expected = readGolden('forward_std').json.clean_correct as boolean[];
    expect([...clean.correct].map(Boolean)).toEqual(expected);
    for (const eps of [2, 8]) {
      const attack = readGolden(`adv_std_fgsm_${eps}`).json as { result: { pred: number[] } };
      const attacked = await evaluator.attacked(goldenParameters(), 'fgsm', eps / 255, range);
      const right = attack.result.pred.map((label, i) => Number(expected[i] && label === images.labels[i]));
      const differing = [...attacked.correct].filter((value, i) => value !== right[i]).length;
      expect(differing).toBeLessThanOrEqual(1);
    }
    await evaluator.dispose();
  });
});
