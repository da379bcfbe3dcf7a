import { describe, expect, test } from 'vitest';
import { defaultNetwork, featureLayers, MODEL_NAMES, parameterSpecs } from '../../../src/config/index.ts';
import { type Program, tf } from '../../../src/engine/index.ts';
import {
  featureShape,
  flattenGradients,
  forward,
  initialParameters,
  named,
  parameterCount,
  splitParameters,
} from '../../../src/nn/index.ts';
import { sameBits } from '../../support/bits.ts';
import { QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';

describe('parameters', () => {
  test('parameterCount: is the number that the catalogue states', () => {
    expect(parameterCount(defaultNetwork('cnn3'))).toBe(146122);
    expect(parameterCount(defaultNetwork('vgg6'))).toBe(550570);
    // As PyTorch counts the networks of the papers' implementations for CIFAR-10.
    expect(parameterCount(defaultNetwork('resnet18'))).toBe(11173962);
    expect(parameterCount(defaultNetwork('wrn-16-4'))).toBe(2748890);
  });

  test('splitParameters: cuts by name and order, and flattenGradients puts together again', async () => {
    const flat = Float32Array.from({ length: 146122 }, (_, i) => i % 9973);
    const program: Program = {
      name: 'split',
      inputs: [{ name: 'parameters', shape: [146122], dtype: 'float32' }],
      build: (inputs) => {
        const params = splitParameters(defaultNetwork('cnn3'), named(inputs, 'parameters'));
        const doubled = parameterSpecs(defaultNetwork('cnn3')).map(({ name }) => tf.mul(named(params, name), 2));
        return { doubled: flattenGradients(doubled), bias: tf.mul(named(params, 'conv2.bias'), 3) };
      },
    };
    const outputs = await runOnce(QUICK_ENGINE, program, { parameters: { shape: [146122], dtype: 'float32', data: flat } });
    expect(
      sameBits(
        valuesOf(outputs, 'doubled'),
        flat.map((value) => 2 * value),
      ),
    ).toBe(true);
    // conv1 432 + 16, conv2.weight 4608: conv2.bias begins at 5056.
    expect(valuesOf(outputs, 'bias')).toEqual(flat.slice(5056, 5088).map((value) => 3 * value));
  });

  test('named: says which name is missing', () => {
    expect(() => named({}, 'conv9.weight')).toThrow(/conv9\.weight/);
  });
});

describe('initialParameters', () => {
  test.each(MODEL_NAMES)('initialParameters: has the spread of the formulas and zero biases for %s', (model) => {
    for (const kind of ['he', 'glorot'] as const) {
      const flat = initialParameters(defaultNetwork(model), kind, 5);
      expect(flat.length).toBe(parameterCount(defaultNetwork(model)));
      let offset = 0;
      for (const { name, shape } of parameterSpecs(defaultNetwork(model))) {
        const values = Array.from(flat.subarray(offset, offset + shape.reduce((a, b) => a * b, 1)));
        offset += values.length;
        if (name.endsWith('.bias')) {
          expect(values.every((value) => value === 0)).toBe(true);
          continue;
        }
        if (shape.length === 1) {
          expect(values.every((value) => value === 1)).toBe(true);
          continue;
        }
        const area = (shape[2] ?? 1) * (shape[3] ?? 1);
        const [fanOut, fanIn] = [(shape[0] as number) * area, (shape[1] as number) * area];
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
        const expected = kind === 'he' ? 2 / fanIn : 2 / (fanIn + fanOut);
        const tolerance = 6 / Math.sqrt(values.length);
        expect(Math.abs(mean) / Math.sqrt(expected), name).toBeLessThan(tolerance);
        expect(Math.abs(variance / expected - 1), name).toBeLessThan(tolerance);
        const widest = Math.max(...values.slice(0, 5000).map(Math.abs)) / Math.sqrt(expected);
        if (kind === 'glorot') expect(widest).toBeLessThanOrEqual(Math.sqrt(3) * 1.0001);
        else expect(widest).toBeGreaterThan(Math.sqrt(3));
      }
    }
  });

  test('initialParameters: depends on the seed, and equals itself for the same seed', () => {
    const first = initialParameters(defaultNetwork('cnn3'), 'he', 1);
    expect(sameBits(initialParameters(defaultNetwork('cnn3'), 'he', 1), first)).toBe(true);
    const other = initialParameters(defaultNetwork('cnn3'), 'he', 2);
    expect(other.filter((value, i) => value !== 0 && value === first[i]).length).toBeLessThan(10);
  });
});

describe('forward', () => {
  test('forward: correlates without flipping, pads with zeros, maps the range and pools after the feature', async () => {
    const flat = new Float32Array(146122);
    // conv1, output 2: 3 times the green pixel one row up and one column to the right, plus 0.25.
    flat[2 * 27 + 9 + 0 * 3 + 2] = 3;
    flat[432 + 2] = 0.25;
    const image = Float32Array.from({ length: 3072 }, (_, i) => ((i * 37) % 251) / 251);
    const program: Program = {
      name: 'forward',
      inputs: [
        { name: 'parameters', shape: [146122], dtype: 'float32' },
        { name: 'image', shape: [1, 32, 32, 3], dtype: 'float32' },
      ],
      build: (inputs) => {
        const params = splitParameters(defaultNetwork('cnn3'), named(inputs, 'parameters'));
        const { features } = forward({ ...defaultNetwork('cnn3'), inputRange: 'signed' }, params, named(inputs, 'image'));
        return { conv1: named(features, 'conv1'), input: named(features, 'input') };
      },
    };
    const outputs = await runOnce(QUICK_ENGINE, program, {
      parameters: { shape: [146122], dtype: 'float32', data: flat },
      image: { shape: [1, 32, 32, 3], dtype: 'float32', data: image },
    });
    const signed = (row: number, column: number): number =>
      row < 0 || column > 31 ? 0 : 2 * (image[(row * 32 + column) * 3 + 1] as number) - 1;
    const conv1 = valuesOf(outputs, 'conv1');
    for (const [row, column] of [
      [0, 5],
      [7, 31],
      [9, 12],
      [31, 0],
      [30, 30],
    ] as const) {
      const expected = Math.max(0, 3 * signed(row - 1, column + 1) + 0.25);
      expect(conv1[(row * 32 + column) * 16 + 2]).toBeCloseTo(expected, 5);
      expect(conv1[(row * 32 + column) * 16 + 3]).toBe(0);
    }
    expect(valuesOf(outputs, 'input')[100]).toBeCloseTo(2 * (image[100] as number) - 1, 6);
  });

  test.each(MODEL_NAMES)('featureShape: is the shape that forward gives for every layer of %s', async (model) => {
    const size = parameterCount(defaultNetwork(model));
    await tf.setBackend('cpu');
    tf.tidy(() => {
      const { features, logits } = forward(
        defaultNetwork(model),
        splitParameters(defaultNetwork(model), tf.zeros([size])),
        tf.zeros([1, 32, 32, 3]),
      );
      expect(logits.shape).toEqual([1, 10]);
      expect(Object.keys(features)).toEqual([...featureLayers(defaultNetwork(model)), model === 'cnn3' || model === 'vgg6' ? 'fc2' : 'fc']);
      for (const [layer, feature] of Object.entries(features)) expect(featureShape(defaultNetwork(model), layer, 1)).toEqual(feature.shape);
    });
  });
});
