/** @file What `bench` measures: the machine's ceiling for convolutions and matrix products, and training steps against it. */
import { type Config, type ConfigInput, MODELS, resolveConfig } from '../config/index.ts';
import { Random, sizeOf, type TensorSpec, type TensorValue } from '../core/index.ts';
import { type Program, profileProgram, type ProgramProfile, tf } from '../engine/index.ts';
import { initialParameters } from '../nn/index.ts';
import { createTrainProgram } from '../strategies/index.ts';

export interface StepProfileOptions {
  readonly model: Config['model']['name'];
  readonly strategies: readonly Config['strategy']['name'][];
  /** Samples of a shard. */
  readonly batch: number;
  readonly threads: number;
  readonly runs: number;
  readonly byOperator: boolean;
}

/** One training program. */
export interface StepProfile extends ProgramProfile {
  readonly strategy: Config['strategy']['name'];
  readonly medianMs: number;
  readonly samplesPerSecond: number;
  /** 10^9 operations of convolutions and matrix products per second. */
  readonly gflops: number;
  /** `gflops` over the convolution ceiling. */
  readonly ofCeiling: number;
}

export interface StepProfiles {
  /** 10^9 operations per second of a chain of eight convolutions 64 to 64 on 16 images of 32x32, and of eight products of 512x512. */
  readonly ceiling: { readonly convolution: number; readonly matrixProduct: number };
  readonly steps: readonly StepProfile[];
}

/** Measures the ceiling before and after the steps and takes the higher: a disturbed ceiling would flatter the steps. */
export async function profileSteps(options: StepProfileOptions): Promise<StepProfiles> {
  const before = await ceiling(options);
  const profiles: { readonly strategy: StepProfile['strategy']; readonly profile: ProgramProfile }[] = [];
  for (const strategy of options.strategies) profiles.push({ strategy, profile: await profileStep(strategy, options) });
  const after = await ceiling(options);
  const convolution = Math.max(before.convolution, after.convolution);
  return {
    ceiling: { convolution, matrixProduct: Math.max(before.matrixProduct, after.matrixProduct) },
    steps: profiles.map(({ strategy, profile }) => {
      const medianMs = median(profile.milliseconds);
      const gflops = profile.flops / medianMs / 1e6;
      return {
        ...profile,
        strategy,
        medianMs,
        samplesPerSecond: (options.batch / medianMs) * 1000,
        gflops,
        ofCeiling: gflops / convolution,
      };
    }),
  };
}

async function profileStep(
  strategy: Config['strategy']['name'],
  { model, batch, threads, runs, byOperator }: StepProfileOptions,
): Promise<ProgramProfile> {
  const input: ConfigInput = { model: { name: model }, strategy: { name: strategy }, train: { batchSize: batch, shards: 1 } };
  const config = resolveConfig(input);
  const { program } = createTrainProgram(config, batch);
  const inputs = Object.fromEntries(program.inputs.map((spec) => [spec.name, inputOf(spec, config)]));
  return profileProgram(program, inputs, { threads, runs, byOperator });
}

function inputOf({ name, shape, dtype }: TensorSpec, config: Config): TensorValue {
  if (name === 'parameters') {
    const data = initialParameters(config.model.name, config.model.initialisation, config.seed);
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

const CHAIN = 8;

async function ceiling({ threads, runs }: StepProfileOptions): Promise<StepProfiles['ceiling']> {
  const best = async (program: Program): Promise<number> => {
    const inputs = Object.fromEntries(
      program.inputs.map(({ name, shape }) => {
        const random = new Random('initialisation', 2);
        // Small values: products of eight factors stay finite and above the denormal range.
        const data = Float32Array.from({ length: sizeOf(shape) }, () => (random.uniform() - 0.5) * 0.2);
        return [name, { shape, dtype: 'float32' as const, data }];
      }),
    );
    const { flops, milliseconds } = await profileProgram(program, inputs, { threads, runs, byOperator: false });
    return flops / (milliseconds[0] as number) / 1e6;
  };
  return { convolution: await best(convolutions), matrixProduct: await best(products) };
}

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

function median(ascending: readonly number[]): number {
  const middle = ascending.length / 2;
  return ((ascending[Math.ceil(middle - 0.5)] as number) + (ascending[Math.floor(middle)] as number)) / 2;
}
