import { describe, expect, it } from 'vitest';
import { type Classifier, IMAGE_VALUES } from '../../../src/attacks/index.ts';
import { parseAttackSpec } from '../../../src/config/index.ts';
import { syntheticDataset } from '../../../src/data/index.ts';
import {
  checkAttacked,
  classifiedCorrectly,
  CountingClassifier,
  measurePerturbation,
  pickSamples,
  runAttack,
} from '../../../src/evaluation/index.ts';
import { linearClassifier } from '../../support/linear-classifier.ts';

/** Margin sum(x) * w + b, so that an L-infinity radius eps changes it by at most eps * w * 3072. */
const W = 0.01;
const linear = (bias: number) => linearClassifier(new Float32Array(IMAGE_VALUES).fill(W), bias);
const grey = (values: number[], labels: number[]) => {
  const images = new Float32Array(values.length * IMAGE_VALUES);
  values.forEach((value, row) => images.fill(value, row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES));
  return { count: values.length, images, labels: Int32Array.from(labels) };
};
const image = (fill: number) => new Float32Array(IMAGE_VALUES).fill(fill);

describe('runAttack', () => {
  // Boundary at grey 0.5: class 0 above it, class 1 below.
  const classifier = linear(-0.5 * W * IMAGE_VALUES);
  const samples = grey([0.52, 0.6, 0.45, 0.52], [0, 0, 1, 1]);

  it('finds what a radius reaches, and counts images that are wrong as they are as wrong', async () => {
    const run = (eps: number) => runAttack({ classifier, samples, indices: [0, 1, 2, 3], spec: parseAttackSpec('fgsm'), eps, seed: 1 });
    expect([...(await run(0.01)).correct]).toEqual([1, 1, 1, 0]);
    expect([...(await run(0.03)).correct]).toEqual([0, 1, 1, 0]);
    expect([...(await run(0.06)).correct]).toEqual([0, 1, 0, 0]);
    expect([...(await run(0.2)).correct]).toEqual([0, 0, 0, 0]);
  });

  it('without an attack: classifies', async () => {
    const { correct, queries } = await runAttack({ classifier, samples, indices: [0, 1, 2, 3], spec: undefined, eps: 0, seed: 1 });
    expect([...correct]).toEqual([1, 1, 1, 0]);
    expect(queries).toEqual({ forward: 4, gradient: 0 });
  });

  it("counts the attack's own looks alone", async () => {
    const counted = new CountingClassifier(classifier);
    const { queries } = await runAttack({
      classifier: counted,
      samples,
      indices: [0, 1, 2, 3],
      spec: parseAttackSpec('bim:steps=3'),
      eps: 0.001,
      seed: 1,
    });
    // The judgement before and after the attack: two looks per image.
    expect(counted.forward + counted.gradient).toBe(queries.forward + queries.gradient + 8);
    expect(queries.gradient).toBeGreaterThanOrEqual(3 * 3);
  });

  it('is the same for an image whichever images are beside it, for attacks with randomness too', async () => {
    const { test } = syntheticDataset({ trainCount: 10, testCount: 40 });
    for (const text of ['noise', 'pgd:steps=3', 'square:queries=10']) {
      const run = (indices: number[]) =>
        runAttack({
          classifier: linear(0),
          samples: pickSamples(test, indices),
          indices,
          spec: parseAttackSpec(text),
          eps: 0.05,
          seed: 3,
        });
      const together = await run([31, 5, 17]);
      for (const [row, index] of [31, 5, 17].entries())
        expect((await run([index])).images).toEqual(together.images.slice(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES));
    }
  });

  it('counts logits that are no numbers as misclassified', async () => {
    const broken: Classifier = { ...classifier, logits: ({ count }) => Promise.resolve(new Float32Array(2 * count).fill(Number.NaN)) };
    expect([...(await classifiedCorrectly(broken, samples))]).toEqual([0, 0, 0, 0]);
  });
});

describe('pickSamples', () => {
  it('gives images and labels in the order of the indices', () => {
    const { test } = syntheticDataset({ trainCount: 10, testCount: 40 });
    const { images, labels } = pickSamples(test, [12, 3]);
    expect([...labels]).toEqual([2, 3]);
    expect(images.slice(IMAGE_VALUES)).toEqual(pickSamples(test, [3]).images);
  });
});

describe('measurePerturbation', () => {
  it('measures a change of known size', () => {
    const attacked = image(0.5);
    attacked[3] = 0.75;
    attacked[4] = 0.25;
    attacked[300] = 0;
    expect(measurePerturbation(image(0.5), attacked)).toEqual({
      linf: 0.5,
      l1: 1,
      l2: Math.sqrt(2 * 0.25 ** 2 + 0.5 ** 2),
      mse: (2 * 0.25 ** 2 + 0.5 ** 2) / IMAGE_VALUES,
      l0: 2,
    });
  });
});

describe('checkAttacked', () => {
  const check = (attacked: Float32Array, norm: 'linf' | 'l2', eps: number) => () =>
    checkAttacked(image(0.5), attacked, { norm, eps }, 'an attack');

  it('lets rounding pass and nothing more', () => {
    expect(check(image(0.5 + 8 / 255), 'linf', 8 / 255)).not.toThrow();
    expect(check(image(0.5 + 8 / 255 + 2e-6), 'linf', 8 / 255)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    const length = Math.sqrt(IMAGE_VALUES);
    expect(check(image(0.5 + 0.5 / length), 'l2', 0.5)).not.toThrow();
    expect(check(image(0.5 + 0.5001 / length), 'l2', 0.5)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });

  it.each([1.0000001, -1e-9, Number.NaN])('refuses an image with the value %d, whatever the radius', (value) => {
    const attacked = image(0.5);
    attacked[7] = value;
    expect(() => checkAttacked(image(0.5), attacked, undefined, 'an attack')).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});
