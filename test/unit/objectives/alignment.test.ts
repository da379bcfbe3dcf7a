/** @file Values computed by hand. Samples: an oblique pair, an opposed one, one without gradient, one without feature. */
import { beforeAll, describe, expect, test } from 'vitest';
import { tf } from '../../../src/engine/index.ts';
import { type AlignmentName, alignmentPenalty, alignmentStatistics } from '../../../src/objectives/index.ts';

const FEATURES = [
  [3, 4],
  [2, 0],
  [1, 5],
  [0, 0],
];
const GRADIENTS = [
  [1, 2],
  [-3, 1],
  [0, 0],
  [2, 1],
];
const C0 = 11 / (5 * Math.sqrt(5));
const C1 = -6 / (2 * Math.sqrt(10));

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function statistics() {
  return alignmentStatistics(tf.tensor2d(FEATURES), tf.tensor2d(GRADIENTS));
}

function expectValues(actual: tf.Tensor, expected: readonly number[]): void {
  for (const [i, value] of Array.from(actual.dataSync()).entries()) expect(value, `value ${i}`).toBeCloseTo(expected[i] as number, 5);
}

describe('alignment', () => {
  test('alignmentStatistics: has cosine, energy and flags of each sample', () => {
    const { cosine, gradientEnergy, hasGradient, usable } = statistics();
    expectValues(cosine, [C0, C1, 0, 0]);
    expectValues(gradientEnergy, [5, 10, 0, 5]);
    expectValues(hasGradient, [1, 1, 0, 1]);
    expectValues(usable, [1, 1, 0, 0]);
  });

  test('alignmentStatistics: sums over all axes but the first', () => {
    const shape = [2, 2, 1, 3];
    const h = tf.tensor([1, 2, 3, 4, 5, 6, 0, 1, 0, -1, 0, 2], shape);
    const g = tf.tensor([1, 0, -1, 2, 0, 1, 3, 1, 0, 0, 1, -2], shape);
    // <h,g> = 12 and -3, |h|^2 = 91 and 6, |g|^2 = 7 and 15.
    expectValues(alignmentStatistics(h, g).cosine, [12 / Math.sqrt(91 * 7), -3 / Math.sqrt(6 * 15)]);
  });

  const expected: Record<AlignmentName, number[]> = {
    'tangential-energy': [5 - 121 / 25, 10 - 36 / 4, 0, 5],
    'negative-gradient': [1 + C0, 1 + C1, 0, 0],
    squared: [1 - C0 * C0, 1 - C1 * C1, 0, 0],
    absolute: [1 - C0, 1 + C1, 0, 0],
    positive: [1 - C0, 1 - C1, 0, 0],
  };
  test.each(Object.entries(expected))('alignmentPenalty: has the value of its formula for %s', (name, values) => {
    expectValues(alignmentPenalty(name as AlignmentName, statistics()), values);
  });

  test.each(Object.keys(expected) as AlignmentName[])(
    'alignmentPenalty: has finite gradients that agree with differences for %s',
    (name) => {
      const penalty = (h: tf.Tensor, g: tf.Tensor): tf.Tensor => tf.sum(alignmentPenalty(name, alignmentStatistics(h, g)));
      const at = [tf.tensor2d(FEATURES), tf.tensor2d(GRADIENTS)] as const;
      const gradients = tf.grads(penalty)([...at]);
      const step = 1e-2;
      for (const which of [0, 1] as const) {
        const values = Array.from((gradients[which] as tf.Tensor).dataSync());
        expect(values.every(Number.isFinite)).toBe(true);
        // The first two samples only: at zero vectors the functions have a jump.
        for (let i = 0; i < 4; i++) {
          const moved = (sign: number): number => {
            const shifted = at.map((tensor, k) => {
              const data = Float32Array.from(tensor.dataSync());
              if (k === which) data[i] = (data[i] as number) + sign * step;
              return tf.tensor2d(data, [4, 2]);
            }) as [tf.Tensor, tf.Tensor];
            return penalty(...shifted).dataSync()[0] as number;
          };
          expect(values[i]).toBeCloseTo((moved(1) - moved(-1)) / (2 * step), 2);
        }
      }
    },
  );
});
