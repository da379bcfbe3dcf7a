/** @file What `bench` measures: the machine's ceiling for convolutions and matrix products, and training steps against it. */
import { type Config, type ConfigInput, MODELS, resolveConfig } from '../config/index.ts';
import { Random, sizeOf, type TensorSpec, type TensorValue } from '../core/index.ts';
import { openTimedProgram, type OperatorProfile, type Program, tf, type TimedProgram } from '../engine/index.ts';
import { initialParameters } from '../nn/index.ts';
import { createTrainProgram } from '../strategies/index.ts';

export interface StepProfileOptions {
  readonly model: Config['model']['name'];
  readonly strategies: readonly Config['strategy']['name'][];
  /** Samples of a shard. */
  readonly batch: number;
  readonly threads: number;
  /** Measured runs of each graph; two more come first. */
  readonly runs: number;
  readonly byOperator: boolean;
}

/** Of several measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** One training program. */
export interface StepProfile {
  readonly strategy: Config['strategy']['name'];
  readonly nodes: number;
  /** Operations of convolutions and matrix products (2 per multiply-add). */
  readonly flops: number;
  readonly bytes: number;
  /** Wall milliseconds of a run. */
  readonly milliseconds: Spread;
  readonly samplesPerSecond: number;
  /** 10^9 operations of convolutions and matrix products per second. */
  readonly gflops: Spread;
  /** Each run's operations per second over those of the chain of convolutions that ran right after it. */
  readonly ofCeiling: Spread;
  /** By time, longest first; empty when not profiled by operator. */
  readonly operators: readonly OperatorProfile[];
}

export interface StepProfiles {
  /** 10^9 operations per second of a chain of eight convolutions 64 to 64 on 16 images of 32x32, and of eight products of 512x512. */
  readonly ceiling: { readonly convolution: Spread; readonly matrixProduct: Spread };
  readonly steps: readonly StepProfile[];
}

/**
 * Each run of a step is followed by a run of the chain of convolutions: speeds of a machine that others share change within seconds, and
 * a share of the ceiling means something only for the same moment.
 */
export async function profileSteps(options: StepProfileOptions): Promise<StepProfiles> {
  const { threads, runs, batch } = options;
  const chain = await openTimedProgram(convolutions, smallInputs(convolutions), threads);
  const ceilings: number[] = [];
  const steps: StepProfile[] = [];
  for (const strategy of options.strategies) {
    const step = await openStep(strategy, options);
    const times: number[] = [];
    const chainTimes: number[] = [];
    for (let run = -WARM_UP; run < runs; run++) {
      const stepMs = await step.run();
      const chainMs = await chain.run();
      if (run < 0) continue;
      times.push(stepMs);
      chainTimes.push(chainMs);
    }
    const gflops = times.map((ms) => rate(step, ms));
    const chainGflops = chainTimes.map((ms) => rate(chain, ms));
    ceilings.push(...chainGflops);
    const milliseconds = spread(times);
    steps.push({
      strategy,
      nodes: step.nodes,
      flops: step.flops,
      bytes: step.bytes,
      milliseconds,
      samplesPerSecond: (batch / milliseconds.median) * 1000,
      gflops: spread(gflops),
      ofCeiling: spread(gflops.map((value, i) => value / (chainGflops[i] as number))),
      operators: options.byOperator ? await step.byOperator(runs) : [],
    });
    await step.release();
  }
  await chain.release();
  return { ceiling: { convolution: spread(ceilings), matrixProduct: await productCeiling(options) }, steps };
}

const WARM_UP = 2;

/** 10^9 operations per second. */
const rate = ({ flops }: TimedProgram, milliseconds: number): number => flops / milliseconds / 1e6;

async function productCeiling({ threads, runs }: StepProfileOptions): Promise<Spread> {
  const chain = await openTimedProgram(products, smallInputs(products), threads);
  const rates: number[] = [];
  for (let run = -WARM_UP; run < runs; run++) {
    const milliseconds = await chain.run();
    if (run >= 0) rates.push(rate(chain, milliseconds));
  }
  await chain.release();
  return spread(rates);
}

function openStep(strategy: Config['strategy']['name'], { model, batch, threads }: StepProfileOptions): Promise<TimedProgram> {
  const input: ConfigInput = { model: { name: model }, strategy: { name: strategy }, train: { batchSize: batch, shards: 1 } };
  const config = resolveConfig(input);
  const { program } = createTrainProgram(config, batch);
  const inputs = Object.fromEntries(program.inputs.map((spec) => [spec.name, inputOf(spec, config)]));
  return openTimedProgram(program, inputs, threads);
}

function inputOf({ name, shape, dtype }: TensorSpec, config: Config): TensorValue {
  if (name === 'parameters') {
    const data = initialParameters(config.model, config.model.initialisation, config.seed);
    return { shape, dtype: 'float32', data };
  }
  const data = new Float32Array(sizeOf(shape));
  const random = new Random('initialisation', 1);
  if (name === 'target')
    for (let row = 0; row < (shape[0] as number); row++) data[row * MODELS[config.model.name].classes + (row % 10)] = 1;
  else if (name === 'gfaScale') data.fill(1);
  else for (let i = 0; i < data.length; i++) data[i] = name === 'noise' ? 2 * random.uniform() - 1 : random.uniform();
  return { shape, dtype: dtype as 'float32', data };
}

/** Small values: products of eight factors stay finite and above the denormal range. */
const smallInputs = ({ inputs }: Program): Record<string, TensorValue> =>
  Object.fromEntries(
    inputs.map(({ name, shape }) => {
      const random = new Random('initialisation', 2);
      return [
        name,
        { shape, dtype: 'float32' as const, data: Float32Array.from({ length: sizeOf(shape) }, () => (random.uniform() - 0.5) * 0.2) },
      ];
    }),
  );

/** Links of a chain. */
const CHAIN = 8;

const float = (name: string, shape: readonly number[]): TensorSpec => ({ name, shape, dtype: 'float32' });

const convolutions: Program = {
  name: 'ceiling/convolution',
  inputs: [float('image', [16, 32, 32, 64]), float('filter', [3, 3, 64, 64])],
  stableInputs: ['filter'],
  build: ({ image, filter }) => {
    let value = image as tf.Tensor4D;
    for (let i = 0; i < CHAIN; i++) value = tf.conv2d(value, filter as tf.Tensor4D, 1, 'same');
    return { value };
  },
};

const products: Program = {
  name: 'ceiling/product',
  inputs: [float('a', [512, 512]), float('b', [512, 512])],
  build: ({ a, b }) => {
    let value = a as tf.Tensor2D;
    for (let i = 0; i < CHAIN; i++) value = tf.matMul(value, b as tf.Tensor2D);
    return { value };
  },
};

function spread(values: readonly number[]): Spread {
  const ascending = values.toSorted((a, b) => a - b);
  const middle = (ascending.length - 1) / 2;
  const median = ((ascending[Math.floor(middle)] as number) + (ascending[Math.ceil(middle)] as number)) / 2;
  return { median, min: ascending[0] as number, max: ascending.at(-1) as number };
}
