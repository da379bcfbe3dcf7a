/** @file The residual networks against a computation of their own in plain loops, and their training gradients against differences. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { defaultNetwork, type Network, parameterSpecs, resolveConfig } from '../../../src/config/index.ts';
import { Random, sizeOf, type TensorValue } from '../../../src/core/index.ts';
import type { Program } from '../../../src/engine/index.ts';
import { exportOnnx, forward, initialParameters, named, parameterCount, splitParameters } from '../../../src/nn/index.ts';
import { createTrainProgram } from '../../../src/strategies/index.ts';
import { engineOf, QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';
import { maxDifference, toChannelsLast } from '../../support/golden.ts';

const tensor = (shape: readonly number[], data: Float32Array): TensorValue => ({ shape, dtype: 'float32', data });

function uniform(count: number, seed: number): Float32Array {
  const random = new Random('synthetic', seed);
  return Float32Array.from({ length: count }, () => random.uniform());
}

/** Initial parameters, but with scales, shifts and running statistics that are no longer 1 and 0. */
function parametersOf(network: Network): { flat: Float32Array; byName: Map<string, Float32Array> } {
  const flat = initialParameters(network, 'he', 3);
  const random = new Random('synthetic', 8);
  const byName = new Map<string, Float32Array>();
  let offset = 0;
  for (const { name, shape } of parameterSpecs(network)) {
    const values = flat.subarray(offset, offset + sizeOf(shape));
    if (shape.length === 1) for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + 0.4 * (random.uniform() - 0.5);
    byName.set(name, values);
    offset += values.length;
  }
  return { flat, byName };
}

/** One image, channels first. */
interface Planes {
  readonly channels: number;
  readonly size: number;
  readonly data: Float64Array;
}

/** to += factor * from, read at every `stride`-th pixel with an offset; zeros beyond the border. */
function addShifted(to: Float64Array, from: Float64Array, size: number, stride: number, dy: number, dx: number, factor: number): void {
  const outputs = size / stride;
  const begin = dx < 0 ? 1 : 0;
  const end = (outputs - 1) * stride + dx >= size ? outputs - 1 : outputs;
  for (let row = 0; row < outputs; row++) {
    const y = row * stride + dy;
    if (y < 0 || y >= size) continue;
    const source = y * size + dx;
    const target = row * outputs;
    for (let column = begin; column < end; column++)
      to[target + column] = (to[target + column] as number) + factor * (from[source + column * stride] as number);
  }
}

/** A network in plain loops over one image. */
class Reference {
  readonly #parameters: Map<string, Float32Array>;
  readonly #norm: 'group' | 'batch';

  constructor(parameters: Map<string, Float32Array>, norm: 'group' | 'batch') {
    this.#parameters = parameters;
    this.#norm = norm;
  }

  get(name: string): Float32Array {
    const found = this.#parameters.get(name);
    if (found === undefined) throw new Error(`no parameter ${name}`);
    return found;
  }

  conv(x: Planes, name: string, kernel: number, stride: number): Planes {
    const weight = this.get(`${name}.weight`);
    const channels = weight.length / (x.channels * kernel * kernel);
    const size = x.size / stride;
    const pad = (kernel - 1) / 2;
    const data = new Float64Array(channels * size * size);
    for (let o = 0; o < channels; o++)
      for (let i = 0; i < x.channels; i++)
        for (let ky = 0; ky < kernel; ky++)
          for (let kx = 0; kx < kernel; kx++) {
            const factor = weight[((o * x.channels + i) * kernel + ky) * kernel + kx] as number;
            addShifted(data.subarray(o * size * size), x.data.subarray(i * x.size * x.size), x.size, stride, ky - pad, kx - pad, factor);
          }
    return { channels, size, data };
  }

  norm(x: Planes, name: string): Planes {
    const area = x.size * x.size;
    const [weight, bias] = [this.get(`${name}.weight`), this.get(`${name}.bias`)];
    const data = x.data.slice();
    const perGroup = x.channels / 8;
    for (let c = 0; c < x.channels; c++) {
      const first = Math.floor(c / perGroup) * perGroup;
      const group = x.data.subarray(first * area, (first + perGroup) * area);
      let mean = group.reduce((sum, value) => sum + value, 0) / group.length;
      let variance = group.reduce((sum, value) => sum + (value - mean) ** 2, 0) / group.length;
      if (this.#norm === 'batch') {
        mean = this.get(`${name}.runningMean`)[c] as number;
        variance = this.get(`${name}.runningVariance`)[c] as number;
      }
      for (let i = c * area; i < (c + 1) * area; i++)
        data[i] = (((data[i] as number) - mean) / Math.sqrt(variance + 1e-5)) * (weight[c] as number) + (bias[c] as number);
    }
    return { ...x, data };
  }

  relu = (x: Planes): Planes => ({ ...x, data: x.data.map((value) => Math.max(value, 0)) });
  sum = (x: Planes, y: Planes): Planes => ({ ...x, data: x.data.map((value, i) => value + (y.data[i] as number)) });

  resnet18(image: Planes): number[] {
    let x = this.relu(this.norm(this.conv(image, 'stem', 3, 1), 'stem.norm'));
    for (const [stage, width] of [64, 128, 256, 512].entries())
      for (const block of [0, 1]) {
        const name = `stage${stage + 1}.${block}`;
        const stride = stage > 0 && block === 0 ? 2 : 1;
        const inner = this.relu(this.norm(this.conv(x, `${name}.conv1`, 3, stride), `${name}.norm1`));
        const residual = this.norm(this.conv(inner, `${name}.conv2`, 3, 1), `${name}.norm2`);
        const same = x.channels === width && stride === 1;
        x = this.relu(this.sum(residual, same ? x : this.norm(this.conv(x, `${name}.shortcut`, 1, stride), `${name}.shortcut.norm`)));
      }
    return this.classify(x);
  }

  wrn16x4(image: Planes): number[] {
    let x = this.conv(image, 'stem', 3, 1);
    for (const stage of [0, 1, 2]) {
      // What precedes the first block of a stage is shared by its two branches; its parameters bear the name of the part before.
      const activated = this.relu(this.norm(x, stage === 0 ? 'stem.norm' : `stage${stage}.norm`));
      const stride = stage === 0 ? 1 : 2;
      const prefix = `stage${stage + 1}`;
      const first = this.relu(this.norm(this.conv(activated, `${prefix}.0.conv1`, 3, stride), `${prefix}.0.norm2`));
      x = this.sum(this.conv(first, `${prefix}.0.conv2`, 3, 1), this.conv(activated, `${prefix}.0.shortcut`, 1, stride));
      const again = this.conv(this.relu(this.norm(x, `${prefix}.1.norm1`)), `${prefix}.1.conv1`, 3, 1);
      x = this.sum(this.conv(this.relu(this.norm(again, `${prefix}.1.norm2`)), `${prefix}.1.conv2`, 3, 1), x);
    }
    return this.classify(this.relu(this.norm(x, 'stage3.norm')));
  }

  classify({ channels, size, data }: Planes): number[] {
    const area = size * size;
    const means = Array.from(
      { length: channels },
      (_, c) => data.subarray(c * area, (c + 1) * area).reduce((sum, value) => sum + value, 0) / area,
    );
    const [weight, bias] = [this.get('fc.weight'), this.get('fc.bias')];
    return Array.from(bias, (shift, k) => means.reduce((sum, value, c) => sum + value * (weight[k * channels + c] as number), shift));
  }
}

function logitsProgram(network: Network, samples: number): Program {
  return {
    name: 'logits',
    inputs: [
      { name: 'parameters', shape: [parameterCount(network)], dtype: 'float32' },
      { name: 'image', shape: [samples, 32, 32, 3], dtype: 'float32' },
    ],
    build: (inputs) => ({ logits: forward(network, splitParameters(network, named(inputs, 'parameters')), named(inputs, 'image')).logits }),
  };
}

const NETWORKS = [
  ['resnet18', 'group'],
  ['resnet18', 'batch'],
  ['wrn-16-4', 'group'],
  ['wrn-16-4', 'batch'],
] as const;

describe('residual networks', () => {
  // One of each: a plain computation of a whole network takes seconds.
  test.each([NETWORKS[0], NETWORKS[3]])(
    'forward: %s with %s norm has the logits of plain loops, and so has its export',
    async (name, norm) => {
      const network: Network = { ...defaultNetwork(name), norm };
      const { flat, byName } = parametersOf(network);
      const pixels = uniform(3072, 4);
      const image = tensor([1, 32, 32, 3], toChannelsLast(pixels, [1, 3, 32, 32]));
      const outputs = await runOnce(QUICK_ENGINE, logitsProgram(network, 1), { parameters: tensor([flat.length], flat), image });
      const reference = new Reference(byName, norm);
      const planes: Planes = { channels: 3, size: 32, data: Float64Array.from(pixels) };
      const expected = name === 'resnet18' ? reference.resnet18(planes) : reference.wrn16x4(planes);
      const scale = Math.max(...expected.map(Math.abs));
      expect(scale).toBeGreaterThan(0.1);
      expect(maxDifference(valuesOf(outputs, 'logits'), expected)).toBeLessThan(1e-4 * Math.max(1, scale));
      const session = await InferenceSession.create(exportOnnx(network, flat), { intraOpNumThreads: 1 });
      const { logits } = await session.run({ image: new Tensor('float32', pixels, [1, 3, 32, 32]) });
      await session.release();
      expect(maxDifference(logits?.data as Float32Array, expected)).toBeLessThan(1e-4 * Math.max(1, scale));
    },
  );

  test.each(NETWORKS.slice(1))('gradients: are those that differences give for %s with %s norm', async (name, norm) => {
    const samples = 2;
    const config = resolveConfig({ model: { name, norm } });
    const compiled = await (await engineOf(QUICK_ENGINE)).compile(createTrainProgram(config, samples).program);
    const target = new Float32Array(samples * 10);
    target[3] = 1;
    target[18] = 1;
    const start = initialParameters(config.model, 'he', 3);
    const at = async (flat: Float32Array) => {
      const outputs = await compiled.run({
        parameters: tensor([flat.length], flat),
        image: tensor([samples, 32, 32, 3], uniform(samples * 3072, 13)),
        target: tensor([samples, 10], target),
        gfaScale: tensor([], Float32Array.of(0)),
      });
      return { loss: valuesOf(outputs, 'metrics')[0] as number, gradients: valuesOf(outputs, 'gradients') };
    };
    const { loss, gradients } = await at(start);
    expect(Number.isFinite(loss)).toBe(true);
    // Running statistics have no slope: training goes by the batch.
    zeroStatistics(config.model, gradients);
    const norm2 = Math.sqrt(gradients.reduce((sum, value) => sum + value * value, 0));
    const step = 2e-3 / norm2;
    const along = async (sign: number) =>
      (await at(start.map((value, i) => value + sign * step * ((gradients[i] as number) / norm2)))).loss;
    const slope = ((await along(1)) - (await along(-1))) / (2 * step);
    expect(Math.abs(slope / norm2 - 1)).toBeLessThan(0.01);
    await compiled.dispose();
  });
});

function zeroStatistics(network: Network, gradients: Float32Array): void {
  let offset = 0;
  for (const { name, shape } of parameterSpecs(network)) {
    if (name.includes('.running')) gradients.fill(0, offset, offset + sizeOf(shape));
    offset += sizeOf(shape);
  }
}
