import { describe, expect, test } from 'vitest';
import {
  type Attack,
  type Classifier,
  createAttack,
  ddn,
  dualNormOf,
  fmn,
  IMAGE_VALUES,
  logitMargin,
  normOf,
  projectToNorm,
  type Samples,
  sampleRandom,
} from '../../../src/attacks/index.ts';
import { type Norm, parseAttackSpec } from '../../../src/config/index.ts';
import { linearClassifier } from '../../support/linear-classifier.ts';

const grey: Samples = { count: 1, images: new Float32Array(IMAGE_VALUES).fill(0.5), labels: Int32Array.of(0) };
const even = Float32Array.from({ length: IMAGE_VALUES }, (_, i) => (1 + (i % 5)) * (i % 3 === 0 ? -0.1 : 0.1));

/** Logits (w x + b, 0) with w x + b = `margin` at grey. */
const withMargin = (weights: Float32Array, margin: number) =>
  linearClassifier(weights, margin - weights.reduce((sum, weight) => sum + weight * 0.5, 0));

/** The distance of what an attack finds, which has to be misclassified and in [0,1]. */
async function distanceFound(attack: Attack, classifier: Classifier, norm: Norm): Promise<number> {
  const found = await attack(classifier, grey, sampleRandom(1, 0));
  expect(logitMargin(await classifier.logits({ count: 1, images: found }), 0)).toBeLessThanOrEqual(0);
  expect(found.every((value) => value >= 0 && value <= 1)).toBe(true);
  return normOf(
    norm,
    found.map((value) => value - 0.5),
  );
}

describe('norms', () => {
  const delta = Float32Array.of(3, 0, -4, 0, 0, 0, 0, 1, 0);

  test('are those of the values, and for l0 of the pixels', () => {
    expect(normOf('linf', delta)).toBe(4);
    expect(normOf('l2', delta)).toBeCloseTo(Math.sqrt(26), 6);
    expect(normOf('l1', delta)).toBe(8);
    expect(normOf('l0', delta)).toBe(2);
  });

  test('dual norms are the largest product with a point of the unit ball', () => {
    expect(dualNormOf('linf', delta)).toBe(8);
    expect(dualNormOf('l2', delta)).toBeCloseTo(Math.sqrt(26), 6);
    expect(dualNormOf('l1', delta)).toBe(4);
  });

  test('projections clip, scale, and keep the pixels that change most', () => {
    const projected = (norm: Exclude<Norm, 'l1'>, radius: number) => {
      const copy = delta.slice();
      projectToNorm(norm, copy, radius);
      return Array.from(copy);
    };
    expect(projected('linf', 2)).toEqual([2, 0, -2, 0, 0, 0, 0, 1, 0]);
    for (const [i, value] of projected('l2', Math.sqrt(26) / 2).entries()) expect(value).toBeCloseTo((delta[i] as number) / 2, 6);
    expect(projected('l2', 100)).toEqual(Array.from(delta));
    expect(projected('l0', 1)).toEqual([3, 0, -4, 0, 0, 0, 0, 0, 0]);
    expect(projected('l0', 2)).toEqual(Array.from(delta));
    expect(projected('l0', 0)).toEqual(Array.from({ length: 9 }, () => 0));
  });
});

describe('on a linear classifier', () => {
  const length = Math.hypot(...even);
  const sum = even.reduce((total, weight) => total + Math.abs(weight), 0);
  // The nearest point in L1 moves the value with the largest weight alone.
  const peaked = even.map((weight, i) => (i === 40 ? 2 : weight));

  test.each<[string, Attack, Norm, Float32Array, number, number]>([
    ['ddn', ddn({ steps: 100 }), 'l2', even, 0.7, length],
    ['fmn in l2', fmn({ norm: 'l2', steps: 100 }), 'l2', even, 0.7, length],
    ['fmn in linf', fmn({ norm: 'linf', steps: 100 }), 'linf', even, 0.03, sum],
    ['fmn in l1', fmn({ norm: 'l1', steps: 100 }), 'l1', peaked, 0.3, 2],
  ])('%s comes near the exact distance', async (_, attack, norm, weights, distance, dualNorm) => {
    const found = await distanceFound(attack, withMargin(weights, distance * dualNorm), norm);
    expect(found / distance).toBeGreaterThan(0.9999);
    expect(found / distance).toBeLessThan(1.03);
  });

  test('fmn finds the few pixels that decide', async () => {
    // Three pixels outweigh all others; each takes 0.5 * 3 * 4 = 6 off the margin.
    const pixels = [17, 400, 1001];
    const weights = Float32Array.from({ length: IMAGE_VALUES }, (_, i) => (pixels.includes(Math.trunc(i / 3)) ? 4 : 0.001));
    expect(await distanceFound(fmn({ norm: 'l0', steps: 200 }), withMargin(weights, 15), 'l0')).toBe(3);
  });

  test('fmn in l1 goes on with other values when the best ones are at their limit', async () => {
    // Two values take 2 * 0.5 * 8 = 8 off the margin; the last 2 have to come from weights of 1, in all a distance of 3.
    const weights = Float32Array.from({ length: IMAGE_VALUES }, (_, i) => (i < 2 ? 8 : i < 50 ? 1 : 0));
    const found = await distanceFound(fmn({ norm: 'l1', steps: 200 }), withMargin(weights, 10), 'l1');
    expect(found / 3).toBeGreaterThan(0.9999);
    expect(found / 3).toBeLessThan(1.05);
  });

  test('return what is misclassified to begin with as it is, by all names', async () => {
    for (const name of ['cw', 'ead-en', 'ead-l1', 'ddn', 'fmn', 'fmn:norm=l0'])
      expect(await createAttack(parseAttackSpec(name), 0)(withMargin(even, -0.1), grey, sampleRandom(1, 0))).toEqual(grey.images);
  });
});
