import { beforeAll, describe, expect, test } from 'vitest';
import { tf } from '../../../src/engine/index.ts';
import { bestOtherLogit, correctlyClassified, crossEntropy, margin, sampleScalar, squaredError } from '../../../src/objectives/index.ts';

const LOGITS = [
  [2, -1, 0.5],
  [0.5, 0.5, -3],
  [-4, 1, 3],
];
const TARGET = [
  [1, 0, 0],
  [1, 0, 0],
  [0, 1, 0],
];
const logits = () => tf.tensor2d(LOGITS);
const target = () => tf.tensor2d(TARGET);
const list = (tensor: tf.Tensor): number[] => Array.from(tensor.dataSync());
const logSumExp = (row: number[]): number => Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0));

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('losses', () => {
  test('crossEntropy: is log-sum-exp minus the label logit, also where exp would overflow', () => {
    const expected = [logSumExp(LOGITS[0] as number[]) - 2, logSumExp(LOGITS[1] as number[]) - 0.5, logSumExp(LOGITS[2] as number[]) - 1];
    for (const [i, value] of list(crossEntropy(logits(), target())).entries()) expect(value).toBeCloseTo(expected[i] as number, 5);
    expect(list(crossEntropy(tf.tensor2d([[0, 500, 400]]), tf.tensor2d([[1, 0, 0]])))).toEqual([500]);
  });

  test('crossEntropy: has gradient p - t and Hessian diag(p) - p p^T', () => {
    const z = [0.3, 0.1, -0.2];
    const total = z.reduce((sum, value) => sum + Math.exp(value), 0);
    const p = z.map((value) => Math.exp(value) / total);
    const gradientOf = tf.grad((x: tf.Tensor) => tf.sum(crossEntropy(x, tf.tensor2d([[1, 0, 0]]))));
    const gradient = list(gradientOf(tf.tensor2d([z])));
    const direction = [1, -2, 0.5];
    const product = list(tf.grad((x: tf.Tensor) => tf.sum(tf.mul(gradientOf(x), tf.tensor2d([direction]))))(tf.tensor2d([z])));
    const mean = p.reduce((sum, value, i) => sum + value * (direction[i] as number), 0);
    for (let i = 0; i < 3; i++) {
      expect(gradient[i]).toBeCloseTo((p[i] as number) - (i === 0 ? 1 : 0), 6);
      expect(product[i]).toBeCloseTo((p[i] as number) * ((direction[i] as number) - mean), 6);
    }
  });

  test('squaredError: sums over classes', () => {
    expect(list(squaredError(logits(), target()))).toEqual([2.25, 9.5, 25]);
  });

  test('margin: is the best other logit minus the label logit', () => {
    expect(list(bestOtherLogit(logits(), target()))).toEqual([0.5, 0.5, 3]);
    expect(list(margin(logits(), target()))).toEqual([-1.5, 0, 2]);
    expect(list(sampleScalar('margin', logits(), target()))).toEqual([-1.5, 0, 2]);
    expect(list(sampleScalar('true-logit', logits(), target()))).toEqual([-2, -0.5, -1]);
  });

  test('correctlyClassified: wants the label strictly ahead, and calls ties and NaN wrong', () => {
    expect(list(correctlyClassified(logits(), target()))).toEqual([1, 0, 0]);
    const nan = tf.tensor2d([[Number.NaN, Number.NaN, Number.NaN]]);
    expect(list(correctlyClassified(nan, tf.tensor2d([[1, 0, 0]])))).toEqual([0]);
  });
});
