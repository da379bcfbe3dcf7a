/**
 * @file Makes sure, before anything is trained, that an engine computes what the CPU engine computes: one small program whose outputs are
 * the operations of training steps, each on inputs of its own, so that the first one that differs can be named.
 */
import { DeepDefenseError, Random, sizeOf, type TensorValue } from '../core/index.ts';
import { tf } from './tensorflow.ts';
import type { Engine, Program, TensorValues } from './types.ts';

/** Wide enough for TF32, whose mantissa has ten bits. Relative to an output's largest value. */
const TOLERANCE = 1e-2;

type Image = tf.Tensor4D;

const convolve = (image: tf.Tensor, filter: tf.Tensor): tf.Tensor4D => tf.conv2d(image as Image, filter as Image, 1, 'same');
const pool = (image: tf.Tensor): tf.Tensor4D => tf.maxPool(image as Image, 2, 2, 'valid');
/** Not the plain sum, whose gradient is the same everywhere. */
const energy = (x: tf.Tensor): tf.Tensor => tf.sum(tf.square(x));

/** In the order in which a training step meets them. */
const OPERATIONS: Readonly<Record<string, (inputs: Readonly<Record<'image' | 'filter' | 'matrix', tf.Tensor>>) => tf.Tensor>> = {
  Conv2D: ({ image, filter }) => convolve(image, filter),
  Relu: ({ image }) => tf.relu(image),
  MaxPool: ({ image }) => pool(image),
  MatMul: ({ matrix }) => tf.matMul(matrix as tf.Tensor2D, matrix as tf.Tensor2D, false, true),
  Sum: ({ image }) => tf.sum(image, [1, 2]),
  Softmax: ({ matrix }) => tf.softmax(matrix as tf.Tensor2D),
  MaxPoolGrad: ({ image }) => tf.grad((x) => energy(pool(x)))(image),
  Conv2DBackpropInput: ({ image, filter }) => tf.grad((x) => energy(convolve(x, filter)))(image),
  Conv2DBackpropFilter: ({ image, filter }) => tf.grad((w) => energy(convolve(image, w)))(filter),
  'second gradient': ({ image, filter }) => tf.grad((w) => energy(tf.grad((x) => energy(tf.relu(convolve(x, w))))(image)))(filter),
};

const program: Program = {
  name: 'self-test/operations',
  inputs: [
    { name: 'image', shape: [2, 8, 8, 8], dtype: 'float32' },
    { name: 'filter', shape: [3, 3, 8, 8], dtype: 'float32' },
    { name: 'matrix', shape: [4, 10], dtype: 'float32' },
  ],
  build: ({ image, filter, matrix }) =>
    Object.fromEntries(
      Object.entries(OPERATIONS).map(([name, operation]) => [
        name,
        operation({ image: image as tf.Tensor, filter: filter as tf.Tensor, matrix: matrix as tf.Tensor }),
      ]),
    ),
};

/**
 * @param reference the CPU engine
 * @throws DeepDefenseError ENGINE_UNAVAILABLE naming the first operation that differs
 */
export async function assertComputesLike(reference: Engine, engine: Engine): Promise<void> {
  const inputs = selfTestInputs();
  const [expected, got] = [await run(reference, inputs), await run(engine, inputs)];
  for (const name of Object.keys(OPERATIONS)) {
    const error = relativeError((expected[name] as TensorValue).data, (got[name] as TensorValue).data);
    // Not written as error > TOLERANCE, which NaN would pass.
    if (error <= TOLERANCE) continue;
    throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
      what: `the engine "${engine.name}" computes something else than the CPU, first in the operation "${name}"`,
      expected: `an error below ${TOLERANCE} of the largest value`,
      got: `an error of ${error.toPrecision(3)}`,
      todo: "update the device's driver, or use the engine onnx:cpu",
      fields: { engine: engine.name, operation: name },
    });
  }
}

async function run(engine: Engine, inputs: TensorValues): Promise<TensorValues> {
  const compiled = await engine.compile(program);
  try {
    return await compiled.run(inputs);
  } finally {
    await compiled.dispose();
  }
}

function relativeError(expected: ArrayLike<number>, got: ArrayLike<number>): number {
  let scale = 0;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [expected[i] as number, got[i] ?? Number.NaN];
    scale = Math.max(scale, Math.abs(a));
    difference = Math.max(difference, Number.isNaN(b) ? Number.POSITIVE_INFINITY : Math.abs(a - b));
  }
  return difference / scale;
}

function selfTestInputs(): TensorValues {
  const random = new Random('initialisation', 4);
  return Object.fromEntries(
    program.inputs.map(({ name, shape }) => [
      name,
      { shape, dtype: 'float32' as const, data: Float32Array.from({ length: sizeOf(shape) }, () => random.uniform() - 0.5) },
    ]),
  );
}
