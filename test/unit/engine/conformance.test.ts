import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TensorValue } from '../../../src/core/index.ts';
import { createEagerEngine } from '../../../src/engine/eager-engine.ts';
import { type Engine, tf } from '../../../src/engine/index.ts';
import { capturedKernels } from '../../../src/engine/kernels/index.ts';
import { createOnnxEngine } from '../../../src/engine/onnx-engine.ts';
import { CONFORMANCE, gradients, inputsOf, programOf, relativeError, titleOf } from '../../support/conformance-cases.ts';

type Tensor = ReturnType<typeof tf.zeros>;

describe.each([
  ['onnx:cpu with the blocks of this machine', undefined],
  ['onnx:cpu with standard convolutions', 1],
])('conformance of %s against tfjs cpu', (_, blockSize) => {
  let oracle: Engine;
  let engine: Engine;
  beforeAll(async () => {
    oracle = await createEagerEngine();
    engine = await createOnnxEngine({ name: 'onnx:cpu', threads: 1, blockSize });
  });
  afterAll(() => engine.dispose());

  test.each(CONFORMANCE.map((row) => [titleOf(row), row] as const))('%s', async (_name, row) => {
    const program = programOf(row);
    const inputs = inputsOf(row);
    const expected = await (await oracle.compile(program)).run(inputs);
    const got = await (await engine.compile(program)).run(inputs);
    expect(Object.keys(got)).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) {
      const values = got[name] as TensorValue;
      expect(values.shape).toEqual(value.shape);
      expect(relativeError(value, values), `${name}: largest error relative to the largest value`).toBeLessThan(row.tolerance ?? 2e-5);
      // A table row whose expected values are all equal could not tell a wrong kernel from a right one.
      expect(new Set(value.data).size, `${name}: distinct values`).toBeGreaterThan(1);
    }
  });
});

test('conformance table: has a row for every kernel that can be captured, and a reason where a derivative is left out', () => {
  expect(new Set(CONFORMANCE.map((row) => row.kernel))).toEqual(new Set(capturedKernels));
  expect(CONFORMANCE.filter((row) => row.order !== undefined && !row.because)).toEqual([]);
});

/** Second derivatives that the library gets wrong or lacks; see src/engine/missing-gradients.ts. */
describe('registered gradients', () => {
  test.each([
    ['exp', (x: Tensor) => tf.exp(x)],
    ['tanh', (x: Tensor) => tf.tanh(x)],
    ['sigmoid', (x: Tensor) => tf.sigmoid(x)],
    ['softmax', (x: Tensor) => tf.softmax(x)],
    ['softmax twice', (x: Tensor) => tf.softmax(tf.square(tf.softmax(x)))],
  ])('%s: has the second derivative that central differences of the first show', async (_, fn) => {
    await createEagerEngine();
    const slope = (values: Float32Array): Float32Array =>
      tf.tidy(() => (gradients(fn)([tf.tensor2d(values, [2, 4])])[0] as Tensor).dataSync().slice() as Float32Array);
    const x = Float32Array.of(0.3, -0.8, 0.5, 0.1, -0.4, 0.9, -0.2, 0.7);
    const second = tf.tidy(() =>
      tf
        .grad((v: Tensor) => tf.sum(tf.square(gradients(fn)([v])[0] as Tensor)))(tf.tensor2d(x, [2, 4]))
        .dataSync(),
    );
    const step = 5e-3;
    x.forEach((value, i) => {
      const energy = (moved: number) => slope(x.map((v, j) => (j === i ? moved : v))).reduce((total, g) => total + g * g, 0);
      expect(second[i]).toBeCloseTo((energy(value + step) - energy(value - step)) / (2 * step), 2);
    });
  });
});
