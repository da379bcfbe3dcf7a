import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TensorValue } from '../../../src/core/index.ts';
import { fillTrainBatch, SampleOrder, syntheticDataset } from '../../../src/data/index.ts';
import { defaultNetwork, parameterSpecs } from '../../../src/config/index.ts';
import { initialParameters } from '../../../src/nn/index.ts';
import { createOptimizer } from '../../../src/optimizers/index.ts';
import { createTrainProgram } from '../../../src/strategies/index.ts';
import { sumTree } from '../../../src/wire/index.ts';
import { Computer } from '../../../src/worker/compute.ts';
import { sameBits } from '../../support/bits.ts';
import { smallConfig } from '../../support/configs.ts';
import { QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';

const SHARDS = 6;
const SHARD_SIZE = 2;
const BATCH = SHARDS * SHARD_SIZE;
const dataset = syntheticDataset({ trainCount: 20, testCount: 7, seed: 2 });
const config = smallConfig(QUICK_ENGINE, {
  seed: 9,
  strategy: { name: 'deep' },
  train: { batchSize: BATCH, shards: SHARDS },
  evaluation: { batchSize: 4 },
});

const work = (step: number, firstPosition: number, gfaScale: number) => ({
  step,
  firstPosition,
  schedule: [{ learningRate: 0.1, gfaScale }],
});

let computer: Computer;
beforeAll(async () => {
  computer = await Computer.create(config, dataset);
  computer.setParameters(3, computer.initialParameters());
});
afterAll(() => computer.dispose());

describe('Computer', () => {
  test('Computer: knows its engine, metrics, initial parameters and version', () => {
    expect(computer.fingerprint.length).toBeGreaterThan(5);
    expect(computer.metricNames.slice(0, 3)).toEqual(['loss', 'accuracy', 'lossTerm']);
    expect(computer.metricNames.length).toBe(18);
    expect(sameBits(computer.initialParameters(), initialParameters(defaultNetwork('cnn3'), 'he', 9))).toBe(true);
    expect(computer.version).toBe(3);
    expect(computer.captureMs).toBeGreaterThanOrEqual(0);
    expect(computer.compileMs).toBeGreaterThanOrEqual(0);
  });

  test('trainBlock: sums the shards in the order of the tree, whatever the blocks', async () => {
    const firstPosition = 2 * BATCH;
    const leaves = [];
    for (let shard = 0; shard < SHARDS; shard++)
      leaves.push(await computer.trainBlock(work(2, firstPosition, 0.4), { first: shard, count: 1 }));
    const whole = await computer.trainBlock(work(2, firstPosition, 0.4), { first: 0, count: SHARDS });
    expect(sameBits(whole.gradients, sumTree(leaves.map(({ gradients }) => gradients)))).toBe(true);
    const [left, right] = [
      await computer.trainBlock(work(2, firstPosition, 0.4), { first: 0, count: 4 }),
      await computer.trainBlock(work(2, firstPosition, 0.4), { first: 4, count: 2 }),
    ];
    expect(sameBits(whole.gradients, sumTree([left.gradients, right.gradients]))).toBe(true);
    expect(whole.metricSums).toEqual(left.metricSums.map((value, i) => value + (right.metricSums[i] as number)));
    expect(whole.computeMs).toBeGreaterThan(0);
  });

  test('trainBlock: uses the positions of the shard, across the end of an epoch', async () => {
    // Step 1 has positions 12..23 of epochs of 20 samples: shard 4 is positions 20 and 21, epoch 1.
    const result = await computer.trainBlock(work(1, BATCH, 0.25), { first: 4, count: 1 });
    const picks = [0, 1].map((i) => new SampleOrder(9, 20).at(20 + i));
    expect(picks.map(({ epoch }) => epoch)).toEqual([1, 1]);
    const image = new Float32Array(SHARD_SIZE * 3072);
    const labels = new Int32Array(SHARD_SIZE);
    fillTrainBatch(dataset.train, picks, { seed: 9, padCrop: config.data.padCrop, flip: config.data.flip }, image, labels);
    const target = new Float32Array(SHARD_SIZE * 10);
    for (const [i, label] of labels.entries()) target[i * 10 + label] = 1;
    const tensor = (shape: number[], data: Float32Array): TensorValue => ({ shape, dtype: 'float32', data });
    const outputs = await runOnce(QUICK_ENGINE, createTrainProgram(config, SHARD_SIZE).program, {
      parameters: tensor([146122], initialParameters(defaultNetwork('cnn3'), 'he', 9)),
      image: tensor([SHARD_SIZE, 32, 32, 3], image),
      target: tensor([SHARD_SIZE, 10], target),
      gfaScale: tensor([], Float32Array.of(0.25)),
    });
    expect(sameBits(result.gradients, valuesOf(outputs, 'gradients'))).toBe(true);
    expect([...result.metricSums]).toEqual([...valuesOf(outputs, 'metrics')]);
  });

  test('trainBlock: with local steps trains each shard on its own samples, whatever the blocks', async () => {
    const local = smallConfig(QUICK_ENGINE, {
      seed: 9,
      strategy: { name: 'deep' },
      optimizer: { name: 'adam' },
      train: { batchSize: 6, shards: 3 },
      sync: { everySteps: 3 },
    });
    const subject = await Computer.create(local, dataset);
    const schedule = [0.01, 0.02, 0.03].map((learningRate, i) => ({ learningRate, gfaScale: Math.fround(i / 4) }));
    const start = subject.initialParameters();
    const length = start.length / 3;
    subject.setParameters(6, start);
    const whole = await subject.trainBlock({ step: 6, firstPosition: 36, schedule }, { first: 0, count: 3 });
    const leaves = [];
    for (let shard = 0; shard < 3; shard++)
      leaves.push(await subject.trainBlock({ step: 6, firstPosition: 36, schedule }, { first: shard, count: 1 }));
    expect(sameBits(whole.gradients, sumTree(leaves.map(({ gradients }) => gradients)))).toBe(true);

    // The same by hand: gradients of a computer without local steps, its parameters set anew for each step.
    const plain = await Computer.create({ ...local, sync: { ...local.sync, everySteps: 1 } }, dataset);
    const optimizer = createOptimizer(local, parameterSpecs(defaultNetwork('cnn3')));
    optimizer.restore(new Map(optimizer.slots.map(({ name, values }) => [name, values.slice()])), 6);
    const parameters = start.slice(0, length);
    let loss = 0;
    for (const [index, settings] of schedule.entries()) {
      plain.setParameters(index, parameters.slice());
      const one = await plain.trainBlock({ step: index, firstPosition: 36 + index * 6, schedule: [settings] }, { first: 1, count: 1 });
      loss += (one.metricSums[0] as number) / 3;
      optimizer.apply(parameters, one.gradients, settings.learningRate);
    }
    const [, answer] = leaves;
    const expected = new Float32Array(start.length);
    for (let i = 0; i < length; i++) expected[i] = (start[i] as number) - (parameters[i] as number);
    for (const [index, { values }] of optimizer.slots.entries()) expected.set(values, (index + 1) * length);
    expect(sameBits(answer?.gradients as Float32Array, expected)).toBe(true);
    expect(answer?.metricSums[0]).toBeCloseTo(loss, 5);
    await expect(plain.trainBlock({ step: 0, firstPosition: 0, schedule }, { first: 0, count: 1 })).rejects.toMatchObject({
      code: 'PROTOCOL_BAD_MESSAGE',
    });

    // A run that diverges says so in its loss instead of failing on worker after worker.
    const wild = schedule.map((settings) => ({ ...settings, learningRate: 1e30 }));
    const diverged = await subject.trainBlock({ step: 6, firstPosition: 36, schedule: wild }, { first: 0, count: 1 });
    expect(diverged.metricSums[0]).toBeNaN();
    await subject.dispose();
    await plain.dispose();
  });

  test('trainBlock: gives away arrays that later calls leave alone', async () => {
    const first = await computer.trainBlock(work(0, 0, 0), { first: 0, count: 1 });
    const copy = first.gradients.slice();
    await computer.trainBlock(work(0, 0, 0), { first: 1, count: 1 });
    expect(sameBits(first.gradients, copy)).toBe(true);
    expect(first.gradients.byteLength).toBe(first.gradients.buffer.byteLength);
    structuredClone(first.gradients, { transfer: [first.gradients.buffer as ArrayBuffer] });
    expect(sameBits((await computer.trainBlock(work(0, 0, 0), { first: 0, count: 1 })).gradients, copy)).toBe(true);
  });

  test('evaluate: covers a partial batch and stops at the end of the test set', async () => {
    const clean = await computer.evaluate('clean', 0, 0, 7);
    expect(clean.correct.length).toBe(7);
    expect(clean.lossSum).toBeGreaterThan(0);
    const parts = [await computer.evaluate('clean', 0, 0, 3), await computer.evaluate('clean', 0, 3, 50)];
    expect(parts.flatMap(({ correct }) => [...correct])).toEqual([...clean.correct]);
    expect((await computer.evaluate('pgd', 8 / 255, 0, 7)).lossSum).toBeGreaterThan(clean.lossSum);
    expect((await computer.alignment(0, 7)).length).toBe(3);
  });

  test('Computer: draws the adversarial start from (seed, epoch, sample)', async () => {
    const adversarial = smallConfig(QUICK_ENGINE, {
      strategy: { name: 'adversarial', adversarial: { steps: 1, stepSizeLinf: 0 } },
      train: { batchSize: 4, shards: 2 },
      data: { padCrop: 0, flip: false },
    });
    const [one, other] = [await Computer.create(adversarial, dataset), await Computer.create({ ...adversarial, seed: 2 }, dataset)];
    const parameters = one.initialParameters();
    for (const each of [one, other]) each.setParameters(0, parameters);
    const block = { first: 1, count: 1 };
    const first = await one.trainBlock(work(0, 0, 0), block);
    expect(sameBits((await one.trainBlock(work(0, 0, 0), block)).gradients, first.gradients)).toBe(true);
    expect(sameBits((await one.trainBlock(work(5, 20, 0), block)).gradients, first.gradients)).toBe(false);
    expect(sameBits((await other.trainBlock(work(0, 0, 0), block)).gradients, first.gradients)).toBe(false);
    await one.dispose();
    await other.dispose();
  });
});
