import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { type DenoiseFilter, defaultNetwork, type Network, parameterSpecs, resolveConfig } from '../../../src/config/index.ts';
import { Random, sizeOf, type TensorValue } from '../../../src/core/index.ts';
import type { EngineName, Program } from '../../../src/engine/index.ts';
import { denoiseFilter, exportOnnx, forward, initialParameters, named, parameterCount, splitParameters } from '../../../src/nn/index.ts';
import { createTrainProgram } from '../../../src/strategies/index.ts';
import { sameBits } from '../../support/bits.ts';
import { ENGINES, engineOf, QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';
import { maxDifference, toChannelsLast } from '../../support/golden.ts';

const FILTERS = ['mean', 'median', 'gaussian', 'non-local'] as const;
const SHAPE = [2, 5, 4, 3] as const;

const network = (filter: DenoiseFilter, after?: string[]): Network => ({
  ...defaultNetwork('cnn3'),
  inputRange: 'signed',
  denoise: { filter, ...(after === undefined ? {} : { after }) },
});

function uniform(count: number, seed: number): Float32Array {
  const random = new Random('synthetic', seed);
  return Float32Array.from({ length: count }, () => random.uniform());
}

/** Initial parameters whose denoising blocks do something. */
function parametersOf(model: Network): Float32Array {
  const flat = initialParameters(model, 'he', 2);
  const random = new Random('synthetic', 9);
  let offset = 0;
  for (const { name, shape } of parameterSpecs(model)) {
    for (let i = 0; i < sizeOf(shape); i++) if (name.includes('.denoise.')) flat[offset + i] = 0.05 * random.normal();
    offset += sizeOf(shape);
  }
  return flat;
}

/** The filters by their definitions, one output element at a time. */
function expectedFilter(filter: DenoiseFilter, h: Float32Array): number[] {
  const [batch, height, width, channels] = SHAPE;
  const at = (b: number, y: number, x: number, c: number): number => {
    const row = Math.min(Math.max(y, 0), height - 1);
    const column = Math.min(Math.max(x, 0), width - 1);
    return h[((b * height + row) * width + column) * channels + c] as number;
  };
  const result: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < channels; c++) {
          const window = [-1, 0, 1].flatMap((dy) =>
            [-1, 0, 1].map((dx) => ({ weight: (2 - dy * dy) * (2 - dx * dx), v: at(b, y + dy, x + dx, c) })),
          );
          if (filter === 'mean') result.push(window.reduce((sum, { v }) => sum + v, 0) / 9);
          else if (filter === 'gaussian') result.push(window.reduce((sum, { v, weight }) => sum + weight * v, 0) / 16);
          else if (filter === 'median') result.push(window.map(({ v }) => v).sort((p, q) => p - q)[4] as number);
          else {
            let [sum, weights] = [0, 0];
            for (let row = 0; row < height; row++)
              for (let column = 0; column < width; column++) {
                let product = 0;
                for (let k = 0; k < channels; k++) product += at(b, y, x, k) * at(b, row, column, k);
                const weight = Math.exp(product / Math.sqrt(channels));
                weights += weight;
                sum += weight * at(b, row, column, c);
              }
            result.push(sum / weights);
          }
        }
  return result;
}

function logitsProgram(model: Network, samples: number): Program {
  return {
    name: 'logits',
    inputs: [
      { name: 'parameters', shape: [parameterCount(model)], dtype: 'float32' },
      { name: 'image', shape: [samples, 32, 32, 3], dtype: 'float32' },
    ],
    build: (inputs) => ({ logits: forward(model, splitParameters(model, named(inputs, 'parameters')), named(inputs, 'image')).logits }),
  };
}

const tensor = (shape: readonly number[], data: Float32Array): TensorValue => ({ shape, dtype: 'float32', data });

describe('denoiseFilter', () => {
  test.each(ENGINES.flatMap((engine) => FILTERS.map((filter) => [filter, engine] as const)))(
    'denoiseFilter: is the definition of %s on %s, with repeated borders and ties',
    async (filter, engine) => {
      // Few distinct values, so that windows hold equal ones.
      const h = uniform(sizeOf(SHAPE), 3).map((value) => Math.round(value * 8) / 4 - 1);
      const program: Program = {
        name: 'filter',
        inputs: [{ name: 'h', shape: SHAPE, dtype: 'float32' }],
        build: (inputs) => ({ filtered: denoiseFilter(filter, named(inputs, 'h')) }),
      };
      const outputs = await runOnce(engine, program, { h: tensor(SHAPE, h) });
      expect(outputs.filtered?.shape).toEqual([...SHAPE]);
      expect(maxDifference(valuesOf(outputs, 'filtered'), expectedFilter(filter, h))).toBeLessThan(1e-6);
    },
  );
});

describe('networks with denoising blocks', () => {
  test('parameters: two of a block follow those of its convolution', () => {
    const names = parameterSpecs(network('mean')).map(({ name, shape }) => `${name} ${shape.join()}`);
    expect(names.slice(0, 8)).toEqual([
      'conv1.weight 16,3,3,3',
      'conv1.bias 16',
      'conv1.denoise.weight 16,16,1,1',
      'conv1.denoise.bias 16',
      'conv2.weight 32,16,3,3',
      'conv2.bias 32',
      'conv2.denoise.weight 32,32,1,1',
      'conv2.denoise.bias 32',
    ]);
    expect(parameterCount(network('median'))).toBe(146122 + 16 * 17 + 32 * 33);
    expect(parameterCount(network('non-local', ['conv3']))).toBe(146122 + 32 * 33);
  });

  test.each(FILTERS)('initialParameters: begin as the network without blocks (%s)', async (filter) => {
    const model = network(filter);
    const plain: Network = { ...model, denoise: { filter: 'none' } };
    const image = tensor([2, 32, 32, 3], uniform(2 * 3072, 4));
    const logitsOf = async (subject: Network): Promise<Float32Array> => {
      const flat = initialParameters(subject, 'he', 7);
      return valuesOf(await runOnce(QUICK_ENGINE, logitsProgram(subject, 2), { parameters: tensor([flat.length], flat), image }), 'logits');
    };
    expect(maxDifference(await logitsOf(model), await logitsOf(plain))).toBeLessThan(1e-6);
  });

  test('forward: blocks stand behind the pooling, and features stay those before it', async () => {
    const model = network('mean');
    const flat = parametersOf(model);
    const without: Network = { ...model, denoise: { filter: 'none' } };
    const program: Program = {
      name: 'features',
      inputs: [{ name: 'parameters', shape: [flat.length], dtype: 'float32' }, logitsProgram(model, 1).inputs[1] as Program['inputs'][0]],
      build: (inputs) => {
        const params = splitParameters(model, named(inputs, 'parameters'));
        const featuresOf = (subject: Network) => forward(subject, params, named(inputs, 'image')).features;
        const [denoised, plain] = [featuresOf(model), featuresOf(without)];
        return {
          same: named(denoised, 'conv1'),
          plain: named(plain, 'conv1'),
          next: named(denoised, 'conv2'),
          other: named(plain, 'conv2'),
        };
      },
    };
    const values = { parameters: tensor([flat.length], flat), image: tensor([1, 32, 32, 3], uniform(3072, 4)) };
    const outputs = await runOnce(QUICK_ENGINE, program, values);
    expect(sameBits(valuesOf(outputs, 'same'), valuesOf(outputs, 'plain'))).toBe(true);
    expect(outputs.same?.shape).toEqual([1, 32, 32, 16]);
    expect(maxDifference(valuesOf(outputs, 'next'), valuesOf(outputs, 'other'))).toBeGreaterThan(0.05);
  });

  test.each(FILTERS)('exportOnnx: has the logits of the engine with %s', async (filter) => {
    const model = network(filter, ['conv1', 'conv2', 'conv3']);
    const flat = parametersOf(model);
    const pixels = uniform(2 * 3072, 5);
    const image = tensor([2, 32, 32, 3], toChannelsLast(pixels, [2, 3, 32, 32]));
    const outputs = await runOnce(QUICK_ENGINE, logitsProgram(model, 2), { parameters: tensor([flat.length], flat), image });
    const session = await InferenceSession.create(exportOnnx(model, flat), { intraOpNumThreads: 1 });
    const { logits } = await session.run({ image: new Tensor('float32', pixels, [2, 3, 32, 32]) });
    await session.release();
    expect(maxDifference(logits?.data as Float32Array, valuesOf(outputs, 'logits'))).toBeLessThan(2e-4);
  });
});

describe('training with denoising blocks', () => {
  const SAMPLES = 2;
  const config = (filter: DenoiseFilter, strategy: 'benchmark' | 'deep') =>
    resolveConfig({ model: { name: 'cnn3', denoise: { filter } }, strategy: { name: strategy } });

  async function gradientsAt(engine: EngineName, filter: DenoiseFilter, strategy: 'benchmark' | 'deep', samples: number) {
    const resolved = config(filter, strategy);
    const compiled = await (await engineOf(engine)).compile(createTrainProgram(resolved, samples).program);
    const target = new Float32Array(samples * 10);
    for (let i = 0; i < samples; i++) target[i * 10 + ((3 * i + 1) % 10)] = 1;
    const at = async (flat: Float32Array) => {
      const outputs = await compiled.run({
        parameters: tensor([flat.length], flat),
        image: tensor([samples, 32, 32, 3], uniform(samples * 3072, 13)),
        target: tensor([samples, 10], target),
        gfaScale: tensor([], Float32Array.of(0.7)),
      });
      return { loss: valuesOf(outputs, 'metrics')[0] as number, gradients: valuesOf(outputs, 'gradients') };
    };
    return { at, start: parametersOf(resolved.model), dispose: () => compiled.dispose() };
  }

  test.each(FILTERS.flatMap((filter) => (['benchmark', 'deep'] as const).map((strategy) => [filter, strategy] as const)))(
    'gradients: are those that differences give with %s and strategy %s',
    async (filter, strategy) => {
      const { at, start, dispose } = await gradientsAt(QUICK_ENGINE, filter, strategy, SAMPLES);
      const { gradients } = await at(start);
      const norm = Math.hypot(...gradients.map(Math.abs).filter((value) => value > 0));
      // Small enough that no ReLU and no median switches here.
      const step = 3e-5;
      const along = async (sign: number): Promise<number> =>
        (await at(start.map((value, i) => value + (sign * step * (gradients[i] as number)) / norm))).loss;
      const slope = ((await along(1)) - (await along(-1))) / (2 * step);
      expect(Math.abs(slope / norm - 1)).toBeLessThan(5e-3);
      await dispose();
    },
  );

  test.each(['median', 'non-local'] as const)('gradients: are the same on the eager engine with %s', async (filter) => {
    const [quick, eager] = [await gradientsAt(QUICK_ENGINE, filter, 'benchmark', 1), await gradientsAt('eager', filter, 'benchmark', 1)];
    const [one, two] = [await quick.at(quick.start), await eager.at(eager.start)];
    const largest = one.gradients.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    expect(maxDifference(one.gradients, two.gradients)).toBeLessThan(1e-3 * largest);
    await Promise.all([quick.dispose(), eager.dispose()]);
  });
});
