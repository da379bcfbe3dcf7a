import { describe, expect, it } from 'vitest';
import { openTimedProgram, tf } from '../../../src/engine/index.ts';

describe('openTimedProgram', () => {
  it('counts operations and bytes of shapes and lists operators by time', async () => {
    const ones = (shape: number[]) => ({
      shape,
      dtype: 'float32' as const,
      data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5),
    });
    const timed = await openTimedProgram(
      {
        name: 'two products',
        inputs: [
          { name: 'a', shape: [4, 6], dtype: 'float32' },
          { name: 'b', shape: [6, 5], dtype: 'float32' },
          { name: 'image', shape: [2, 4, 4, 3], dtype: 'float32' },
          { name: 'filter', shape: [3, 3, 3, 8], dtype: 'float32' },
        ],
        build: ({ a, b, image, filter }) => ({
          product: tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D),
          convolved: tf.conv2d(image as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same'),
        }),
      },
      { a: ones([4, 6]), b: ones([6, 5]), image: ones([2, 4, 4, 3]), filter: ones([3, 3, 3, 8]) },
      1,
    );
    // 2 * 4 * 6 * 5 for the product; 2 * (2 * 4 * 4 * 8 outputs) * (3 * 3 * 3 products) for the convolution.
    expect(timed.flops).toBe(240 + 13_824);
    expect(timed.bytes).toBeGreaterThan(4 * (24 + 30 + 20));
    expect(await timed.run()).toBeGreaterThan(0);
    const profile = await timed.byOperator(3);
    await timed.release();
    const operators = profile.map(({ operator }) => operator);
    expect(operators).toContain('Conv');
    const times = profile.map(({ milliseconds }) => milliseconds);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    expect(profile.find(({ operator }) => operator === 'Conv')?.flops).toBe(13_824);
  });
});
