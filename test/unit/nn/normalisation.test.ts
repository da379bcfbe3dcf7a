import { describe, expect, test } from 'vitest';
import { defaultNetwork, type Network, type NormOperation, networkOperations, parameterSpecs } from '../../../src/config/index.ts';
import { Random, sha256, sizeOf, type TensorValue } from '../../../src/core/index.ts';
import { type Program, tf } from '../../../src/engine/index.ts';
import { initialParameters, named, normalise, parameterCount } from '../../../src/nn/index.ts';
import { ENGINES, QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';
import { maxDifference } from '../../support/golden.ts';

const SHAPE = [3, 4, 2, 16] as const;
const [BATCH, HEIGHT, WIDTH, CHANNELS] = SHAPE;
const tensor = (shape: readonly number[], data: Float32Array): TensorValue => ({ shape, dtype: 'float32', data });
const random = new Random('synthetic', 21);
const x = Float32Array.from({ length: sizeOf(SHAPE) }, (_, i) => random.normal() + (i % 5));
const vector = (low: number): Float32Array => Float32Array.from({ length: CHANNELS }, () => low + random.uniform());
const parameters = { 'n.weight': vector(0.5), 'n.bias': vector(-0.5), 'n.runningMean': vector(1), 'n.runningVariance': vector(0.3) };

/** Elements of one sample and channel. */
const plane = (b: number, c: number): number[] =>
  Array.from({ length: HEIGHT * WIDTH }, (_, p) => x[(b * HEIGHT * WIDTH + p) * CHANNELS + c] as number);
const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const varianceOf = (values: readonly number[]): number => meanOf(values.map((value) => (value - meanOf(values)) ** 2));
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** By the definition: `members` are the elements that share a mean with sample b, channel c. */
function expected(members: (b: number, c: number) => readonly number[]): Float32Array {
  return x.map((value, i) => {
    const [b, c] = [Math.floor(i / (HEIGHT * WIDTH * CHANNELS)), i % CHANNELS];
    const values = members(b, c);
    const normal = (value - meanOf(values)) / Math.sqrt(varianceOf(values) + 1e-5);
    return normal * (parameters['n.weight'][c] as number) + (parameters['n.bias'][c] as number);
  });
}

function program(norm: 'group' | 'batch', running: boolean): Program {
  const names = Object.keys(parameters).filter((name) => running || !name.includes('running'));
  return {
    name: 'norm',
    inputs: [
      { name: 'x', shape: SHAPE, dtype: 'float32' },
      ...names.map((name) => ({ name, shape: [CHANNELS], dtype: 'float32' }) as const),
    ],
    build: (inputs) => {
      const operation: NormOperation = { kind: 'norm', name: 'n', norm, channels: CHANNELS };
      const params = Object.fromEntries(names.map((name) => [name, named(inputs, name)]));
      const { output, statistics } = normalise(operation, params, named(inputs, 'x'));
      const copies = Object.fromEntries(Object.entries(statistics).map(([name, value]) => [name, tf.mul(value, 1)]));
      return { output, ...copies };
    },
  };
}

const inputs = {
  x: tensor(SHAPE, x),
  ...Object.fromEntries(Object.entries(parameters).map(([name, data]) => [name, tensor([CHANNELS], data)])),
};
const inputsOf = (subject: Program) =>
  Object.fromEntries(subject.inputs.map(({ name }) => [name, named(inputs as never, name) as unknown as TensorValue]));

describe('normalise', () => {
  test.each(ENGINES)('group: has the statistics of a sample and two channels on %s', async (engine) => {
    const subject = program('group', false);
    const outputs = await runOnce(engine, subject, inputsOf(subject));
    const groups = expected((b, c) => [...plane(b, c - (c % 2)), ...plane(b, c - (c % 2) + 1)]);
    expect(maxDifference(valuesOf(outputs, 'output'), groups)).toBeLessThan(1e-5);
    expect(Object.keys(outputs)).toEqual(['output']);
  });

  test.each(ENGINES)('batch: goes by the batch without running statistics, and reports its own, on %s', async (engine) => {
    const subject = program('batch', false);
    const outputs = await runOnce(engine, subject, inputsOf(subject));
    const channel = (c: number): number[] => range(BATCH).flatMap((b) => plane(b, c));
    expect(
      maxDifference(
        valuesOf(outputs, 'output'),
        expected((_, c) => channel(c)),
      ),
    ).toBeLessThan(1e-5);
    expect(
      maxDifference(
        valuesOf(outputs, 'n.runningMean'),
        range(CHANNELS).map((c) => meanOf(channel(c))),
      ),
    ).toBeLessThan(1e-5);
    // Of a sample of 24: unbiased, as in PyTorch.
    const variances = range(CHANNELS).map((c) => (varianceOf(channel(c)) * 24) / 23);
    expect(maxDifference(valuesOf(outputs, 'n.runningVariance'), variances)).toBeLessThan(1e-5);
  });

  test('batch: goes by the running statistics where it has them', async () => {
    const subject = program('batch', true);
    const outputs = await runOnce(QUICK_ENGINE, subject, inputsOf(subject));
    const of = (name: keyof typeof parameters, i: number): number => parameters[name][i % CHANNELS] as number;
    const running = x.map((value, i) => {
      const normal = (value - of('n.runningMean', i)) / Math.sqrt(of('n.runningVariance', i) + 1e-5);
      return normal * of('n.weight', i) + of('n.bias', i);
    });
    expect(maxDifference(valuesOf(outputs, 'output'), running)).toBeLessThan(1e-5);
    expect(Object.keys(outputs)).toEqual(['output']);
  });
});

describe('networks with normalisation', () => {
  const network = (norm: 'group' | 'batch'): Network => ({ ...defaultNetwork('cnn3'), norm });

  test('parameters: take the place of the biases of convolutions', () => {
    const batch = parameterSpecs(network('batch')).map(({ name }) => name);
    expect(batch.slice(0, 6)).toEqual([
      'conv1.weight',
      'conv1.norm.weight',
      'conv1.norm.bias',
      'conv1.norm.runningMean',
      'conv1.norm.runningVariance',
      'conv2.weight',
    ]);
    expect(batch.slice(-4)).toEqual(['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias']);
    expect(parameterCount(network('group'))).toBe(146122 + 80);
    expect(parameterCount(network('batch'))).toBe(146122 + 3 * 80);
    const kinds = networkOperations(network('group')).map(({ kind }) => kind);
    expect(kinds.slice(0, 7)).toEqual(['input', 'feature', 'conv', 'norm', 'relu', 'feature', 'maxPool']);
  });

  test('initialParameters: begin with mean 0 and variance 1, and with the weights of the network without', () => {
    const flat = initialParameters(network('batch'), 'he', 4);
    const plain = initialParameters(defaultNetwork('cnn3'), 'he', 4);
    expect(Array.from(flat.subarray(432, 432 + 64))).toEqual(
      [16, 32, 16].flatMap((count, i) => Array<number>(count).fill(i === 1 ? 0 : 1)),
    );
    expect(flat.subarray(0, 432)).toEqual(plain.subarray(0, 432));
    expect(flat.subarray(496, 496 + 4608)).toEqual(plain.subarray(448, 448 + 4608));
  });

  test('initialParameters: of the networks without normalisation are what they were in version 1', () => {
    const hashOf = (name: 'cnn3' | 'vgg6', kind: 'he' | 'glorot'): string => {
      const flat = initialParameters(defaultNetwork(name), kind, 1);
      return sha256(new Uint8Array(flat.buffer));
    };
    expect(hashOf('cnn3', 'he')).toBe('f1a4be30d9267041b5c50508f272f04487bd5205689234d8c9abffa40e3b6385');
    expect(hashOf('cnn3', 'glorot')).toBe('0f1fcbdb97e9199d946173ec904b4077418de7c76cb560c9d78f3fe7b98f4cfe');
    expect(hashOf('vgg6', 'he')).toBe('4e73f2a714917f298b654af3d159d3da0a11395b6e1e591b6185843144bc05ab');
    expect(hashOf('vgg6', 'glorot')).toBe('53d57d24847362b21600ff404773fdc2bd71121d4331b207971dd365e7902523');
  });
});
