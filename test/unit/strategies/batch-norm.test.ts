/** @file Batch normalisation by logical shard: running statistics as entries of the flat vector, from the program to the optimiser. */
import { describe, expect, test } from 'vitest';
import { type Config, type ConfigInput, parameterSpecs, resolveConfig } from '../../../src/config/index.ts';
import { plainVectorMath, Random, sizeOf, type TensorValue, WasmVectorMath } from '../../../src/core/index.ts';
import type { TensorValues } from '../../../src/engine/index.ts';
import { createPredict } from '../../../src/evaluation/index.ts';
import { initialParameters } from '../../../src/nn/index.ts';
import { createOptimizer, createRunOptimizer, LocalReplica } from '../../../src/optimizers/index.ts';
import { createTrainProgram } from '../../../src/strategies/index.ts';
import { sumTree } from '../../../src/wire/index.ts';
import { sameBits } from '../../support/bits.ts';
import { engineOf, QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';
import { maxDifference } from '../../support/golden.ts';

const SHARD = 4;
const tensor = (shape: readonly number[], data: Float32Array): TensorValue => ({ shape, dtype: 'float32', data });
const configOf = (input: ConfigInput = {}): Config =>
  resolveConfig({ optimizer: { name: 'sgd', learningRate: 0.05 }, ...input, model: { name: 'cnn3', norm: 'batch', ...input.model } });

function shard(seed: number, samples = SHARD): { image: TensorValue; target: TensorValue; gfaScale: TensorValue; noise: TensorValue } {
  const random = new Random('synthetic', seed);
  const target = new Float32Array(samples * 10);
  for (let i = 0; i < samples; i++) target[i * 10 + ((seed + 3 * i) % 10)] = 1;
  return {
    image: tensor(
      [samples, 32, 32, 3],
      Float32Array.from({ length: samples * 3072 }, () => random.uniform()),
    ),
    target: tensor([samples, 10], target),
    gfaScale: tensor([], Float32Array.of(1)),
    noise: tensor([samples, 32, 32, 3], new Float32Array(samples * 3072)),
  };
}

/** Where each parameter lies in the flat vector. */
function placesOf(config: Config): Map<string, { from: number; to: number }> {
  const places = new Map<string, { from: number; to: number }>();
  let from = 0;
  for (const { name, shape } of parameterSpecs(config.model)) {
    places.set(name, { from, to: from + sizeOf(shape) });
    from += sizeOf(shape);
  }
  return places;
}

const partOf = (config: Config, flat: Float32Array, name: string): Float32Array => {
  const { from, to } = placesOf(config).get(name) as { from: number; to: number };
  return flat.subarray(from, to);
};

async function gradientsOf(config: Config, flat: Float32Array, inputs: TensorValues): Promise<Float32Array> {
  const { program } = createTrainProgram(config, SHARD);
  return valuesOf(await runOnce(QUICK_ENGINE, program, { ...inputs, parameters: tensor([flat.length], flat) }), 'gradients');
}

describe('running statistics', () => {
  test.each(['benchmark', 'deep'] as const)('createTrainProgram: gives their distance from those of the shard (%s)', async (name) => {
    const config = configOf({ strategy: { name } });
    const flat = initialParameters(config.model, 'he', 2);
    const inputs = shard(5);
    const gradients = await gradientsOf(config, flat, inputs);
    // conv1 by hand: what its channels are before the normalisation.
    const values = convolution(inputs.image.data as Float32Array, partOf(config, flat, 'conv1.weight'));
    for (const [channel, list] of values.entries()) {
      const mean = list.reduce((sum, value) => sum + value, 0) / list.length;
      const variance = list.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (list.length - 1);
      expect(partOf(config, gradients, 'conv1.norm.runningMean')[channel]).toBeCloseTo(0 - mean, 4);
      expect(partOf(config, gradients, 'conv1.norm.runningVariance')[channel]).toBeCloseTo(1 - variance, 4);
    }
  });

  test('createTrainProgram: trains by the shard and not by running statistics', async () => {
    const config = configOf();
    const flat = initialParameters(config.model, 'he', 2);
    const moved = flat.slice();
    partOf(config, moved, 'conv2.norm.runningMean').fill(0.7);
    partOf(config, moved, 'conv2.norm.runningVariance').fill(3);
    const [before, after] = [await gradientsOf(config, flat, shard(5)), await gradientsOf(config, moved, shard(5))];
    const changed = parameterSpecs(config.model).filter(({ name }) => !sameBits(partOf(config, before, name), partOf(config, after, name)));
    expect(changed.map(({ name }) => name)).toEqual(['conv2.norm.runningMean', 'conv2.norm.runningVariance']);
  });

  test('adversarial: the inner attack meets the network that predicts', async () => {
    const strategy: ConfigInput['strategy'] = { name: 'adversarial', adversarial: { steps: 1, randomStart: false } };
    const config = configOf({ strategy });
    const flat = initialParameters(config.model, 'he', 2);
    const moved = flat.slice();
    partOf(config, moved, 'conv2.norm.runningVariance').fill(1e-3);
    partOf(config, moved, 'conv2.norm.runningMean').fill(2);
    const [before, after] = [await gradientsOf(config, flat, shard(5)), await gradientsOf(config, moved, shard(5))];
    // Other running statistics, another attack, another image to train on.
    expect(sameBits(partOf(config, before, 'fc2.weight'), partOf(config, after, 'fc2.weight'))).toBe(false);
  });

  test('createPredict: a prediction does not depend on the samples beside it', async () => {
    const config = configOf();
    const flat = initialParameters(config.model, 'he', 2);
    const { image, target } = shard(5);
    const parameters = tensor([flat.length], flat);
    const all = await runOnce(QUICK_ENGINE, createPredict(config, SHARD), { parameters, image, target });
    const first = {
      parameters,
      image: tensor([1, 32, 32, 3], image.data.slice(0, 3072) as Float32Array),
      target: tensor([1, 10], target.data.slice(0, 10) as Float32Array),
    };
    const alone = await runOnce(QUICK_ENGINE, createPredict(config, 1), first);
    expect(maxDifference(valuesOf(alone, 'logits'), valuesOf(all, 'logits').subarray(0, 10))).toBeLessThan(1e-5);
  });

  test('optimizer: moves them to the mean over the shards, at any division of the shards among workers', async () => {
    const config = configOf();
    const flat = initialParameters(config.model, 'he', 2);
    const compiled = await (await engineOf(QUICK_ENGINE)).compile(createTrainProgram(config, SHARD).program);
    const parameters = flat.slice();
    const optimizer = createOptimizer(config, parameterSpecs(config.model));
    const shards = [1, 2, 3, 4].map((seed) => shard(seed));
    for (let step = 0; step < 3; step++) {
      const leaves: Float32Array[] = [];
      for (const inputs of shards)
        leaves.push(valuesOf(await compiled.run({ ...inputs, parameters: tensor([flat.length], parameters) }), 'gradients'));
      const whole = sumTree(leaves);
      // Two workers with two shards each: a worker sends the sum of its subtree.
      const halves = sumTree([sumTree(leaves.slice(0, 2)), sumTree(leaves.slice(2))]);
      expect(sameBits(halves, whole)).toBe(true);
      const mean = whole.map((value) => value / 4);
      const before = partOf(config, parameters, 'conv1.norm.runningMean').slice();
      optimizer.apply(parameters, mean, 0.05);
      const statistic = before.map((value, i) => value - (partOf(config, mean, 'conv1.norm.runningMean')[i] as number));
      const expected = before.map((value, i) => 0.9 * value + 0.1 * (statistic[i] as number));
      expect(maxDifference(partOf(config, parameters, 'conv1.norm.runningMean'), expected)).toBeLessThan(1e-6);
    }
    await compiled.dispose();
  });

  test('optimizer: they converge to the statistics of the data while the weights stand still', async () => {
    for (const precision of ['float32', 'bfloat16'] as const) {
      const config = configOf({ train: { gradients: precision } });
      const parameters = initialParameters(config.model, 'he', 2);
      const optimizer = createOptimizer(config, parameterSpecs(config.model));
      const compiled = await (await engineOf(QUICK_ENGINE)).compile(createTrainProgram(config, SHARD).program);
      const run = async (): Promise<Float32Array> =>
        valuesOf(await compiled.run({ ...shard(3), parameters: tensor([parameters.length], parameters) }), 'gradients');
      for (let step = 0; step < 60; step++) optimizer.apply(parameters, sumTree([await run()], precision), 0);
      // What is left is 0.9^60 = 0.0018 of the first distance.
      const distance = await run();
      for (const layer of ['conv1', 'conv2', 'conv3'])
        for (const kind of ['runningMean', 'runningVariance']) {
          const name = `${layer}.norm.${kind}`;
          const scale = Math.max(1, ...partOf(config, parameters, name).map(Math.abs));
          expect(Math.max(...partOf(config, distance, name).map(Math.abs)) / scale, `${name} ${precision}`).toBeLessThan(0.005);
        }
      await compiled.dispose();
    }
  }, 20_000);
});

describe('optimisers and running statistics', () => {
  const specs = [
    { name: 'a.weight', shape: [2], dtype: 'float32' },
    { name: 'a.norm.weight', shape: [1], dtype: 'float32' },
    { name: 'a.norm.bias', shape: [1], dtype: 'float32' },
    { name: 'a.norm.runningMean', shape: [1], dtype: 'float32' },
    { name: 'a.norm.runningVariance', shape: [1], dtype: 'float32' },
    { name: 'b.weight', shape: [1], dtype: 'float32' },
  ] as const;
  const gradients = Float32Array.of(3, 0, 0, 4, 50, 0.25, 12);

  test.each([
    ['sgd', plainVectorMath],
    ['adam', plainVectorMath],
    ['adamw', new WasmVectorMath()],
  ] as const)('%s: they move by a tenth of the distance, without decay, moments, clipping or part in the norm', (name, math) => {
    const config = configOf({ optimizer: { name, learningRate: 0.05, weightDecay: 0.1, gradientClipNorm: 1 } });
    const optimizer = createOptimizer(config, specs, math);
    const parameters = math.allocate(7);
    parameters.set([1, 1, 1, 1, 2, 1, 1]);
    const given = math.allocate(7);
    given.set(gradients);
    const { gradientNorm, clipFactor } = optimizer.apply(parameters, given, 0.05);
    expect(gradientNorm).toBeCloseTo(13, 6);
    expect(clipFactor).toBeCloseTo(1 / 13, 6);
    expect(parameters[4]).toBeCloseTo(2 - 5, 6);
    expect(parameters[5]).toBeCloseTo(1 - 0.025, 6);
    for (const { values } of optimizer.slots) expect(Array.from(values.subarray(4, 6))).toEqual([0, 0]);
    // Without a gradient, only decay could move the norm's weight; the layer's weight shows that there is one.
    expect(parameters[2]).toBe(1);
    expect(parameters[1]).toBeLessThan(1);
  });

  test('local SGD: they become the mean of those of the replicas, and never negative', () => {
    const config = configOf({ sync: { everySteps: 3, outerLearningRate: 0.7, outerMomentum: 0.9 } });
    const replica = LocalReplica.create(config, specs) as LocalReplica;
    const start = Float32Array.of(1, 1, 1, 0, 2, 1, 1, ...Array<number>(7).fill(0));
    const answers = [0.5, 0.25].map((distance) => {
      replica.begin(start, 0);
      for (let step = 0; step < 3; step++) replica.update(Float32Array.of(0, 0, 0, 0, 0, distance, 0), 0.05);
      const out = new Float32Array(14);
      replica.finish(out);
      return out;
    });
    const mean = (answers[0] as Float32Array).map((value, i) => (value + ((answers[1] as Float32Array)[i] as number)) / 2);
    const optimizer = createRunOptimizer(config, specs);
    const parameters = start.slice(0, 7);
    optimizer.apply(parameters, mean, 0.05);
    expect(parameters[5]).toBeCloseTo(1 - (0.15 + 0.075) / 2, 6);
    const rounded = mean.slice();
    rounded[5] = 1.0078125;
    // A change rounded to bfloat16 can be longer than what it is a change of.
    const other = start.slice(0, 7);
    createRunOptimizer(config, specs).apply(other, rounded, 0.05);
    expect(other[5]).toBe(0);
  });
});

/** Outputs of a 3x3 convolution by channel, over all samples and pixels. */
function convolution(image: Float32Array, weight: Float32Array): number[][] {
  const at = (b: number, y: number, x: number, c: number): number =>
    y < 0 || x < 0 || y > 31 || x > 31 ? 0 : (image[((b * 32 + y) * 32 + x) * 3 + c] as number);
  return Array.from({ length: weight.length / 27 }, (_, o) => {
    const values: number[] = [];
    for (let b = 0; b < SHARD; b++)
      for (let y = 0; y < 32; y++)
        for (let x = 0; x < 32; x++) {
          let sum = 0;
          for (let c = 0; c < 3; c++)
            for (let k = 0; k < 9; k++)
              sum += (weight[o * 27 + c * 9 + k] as number) * at(b, y + Math.floor(k / 3) - 1, x + (k % 3) - 1, c);
          values.push(sum);
        }
    return values;
  });
}
