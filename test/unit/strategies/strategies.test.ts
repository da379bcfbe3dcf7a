import { describe, expect, test } from 'vitest';
import { createAttackStep } from '../../../src/attacks/index.ts';
import { defaultNetwork, type ConfigInput, resolveGfa } from '../../../src/config/index.ts';
import { Random, type TensorValue } from '../../../src/core/index.ts';
import { tf } from '../../../src/engine/index.ts';
import { initialParameters } from '../../../src/nn/index.ts';
import { createTrainProgram } from '../../../src/strategies/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';
import { maxDifference } from '../../support/golden.ts';

const SAMPLES = 4;
const EPS = 8 / 255;

const scalar = (value: number): TensorValue => ({ shape: [], dtype: 'float32', data: Float32Array.of(value) });
const images = (seed: number, low: number): TensorValue => {
  const random = new Random('synthetic', seed);
  const data = Float32Array.from({ length: SAMPLES * 3072 }, () => low + (1 - low) * random.uniform());
  return { shape: [SAMPLES, 32, 32, 3], dtype: 'float32', data };
};
function inputs(): Record<string, TensorValue> {
  const target = new Float32Array(SAMPLES * 10);
  for (const [i, label] of [3, 9, 0, 9].entries()) target[i * 10 + label] = 1;
  const flat = initialParameters(defaultNetwork('cnn3'), 'he', 2);
  return {
    parameters: { shape: [flat.length], dtype: 'float32', data: flat },
    image: images(5, 0),
    target: { shape: [SAMPLES, 10], dtype: 'float32', data: target },
    gfaScale: scalar(0.5),
    noise: images(6, -1),
  };
}

async function step(strategy: ConfigInput['strategy'], values = inputs(), objective: ConfigInput['objective'] = {}) {
  const { program, metricNames } = createTrainProgram(smallConfig(QUICK_ENGINE, { strategy, objective }), SAMPLES);
  const outputs = await runOnce(QUICK_ENGINE, program, values);
  const metrics = Object.fromEntries(metricNames.map((name, i) => [name, valuesOf(outputs, 'metrics')[i] as number]));
  return { gradients: valuesOf(outputs, 'gradients'), metrics, metricNames, values: valuesOf(outputs, 'metrics') };
}

describe('strategies', () => {
  test('createTrainProgram: names its metrics in order', async () => {
    const layer = (name: string): string[] =>
      ['term', 'cosine', 'absCosine', 'gradientNorm', 'zeroGradient'].map((metric) => `gfa/${name}/${metric}`);
    const common = ['loss', 'accuracy', 'lossTerm'];
    const namesOf = (strategy: ConfigInput['strategy']) => createTrainProgram(smallConfig(QUICK_ENGINE, { strategy }), 2).metricNames;
    expect(namesOf({ name: 'benchmark' })).toEqual(common);
    expect(namesOf({ name: 'adversarial' })).toEqual(common);
    expect(namesOf({ name: 'first' })).toEqual([...common, ...layer('input')]);
    expect(namesOf({ name: 'deep' })).toEqual([...common, ...layer('conv1'), ...layer('conv2'), ...layer('conv3')]);
    expect((await step({ name: 'deep' })).values.length).toBe(18);
  });

  test('deep: adds scale * strength * sum of weight * term to the loss term', async () => {
    const { metrics } = await step({ name: 'deep', gfa: { strength: 3, layers: ['conv2', 'conv1'], weights: [0.25, 2] } });
    const penalty = 3 * (0.25 * (metrics['gfa/conv2/term'] as number) + 2 * (metrics['gfa/conv1/term'] as number));
    expect(penalty).toBeGreaterThan(0.01);
    expect(metrics.loss).toBeCloseTo((metrics.lossTerm as number) + 0.5 * penalty, 4);
    expect(metrics['gfa/conv1/zeroGradient']).toBe(0);
    expect(metrics['gfa/conv1/absCosine']).toBeGreaterThanOrEqual(Math.abs(metrics['gfa/conv1/cosine'] as number));
  });

  test.each(['cross-entropy', 'mse'] as const)('first and deep: are the benchmark while the warm-up factor is 0 (%s)', async (loss) => {
    const values = { ...inputs(), gfaScale: scalar(0) };
    const plain = await step({ name: 'benchmark' }, values, { loss });
    for (const name of ['first', 'deep'] as const) {
      const regularised = await step({ name }, values, { loss });
      expect(maxDifference(regularised.gradients, plain.gradients)).toBeLessThan(1e-5 * Math.max(1, plain.metrics.loss as number));
      for (const metric of ['loss', 'accuracy', 'lossTerm'])
        expect(regularised.metrics[metric]).toBeCloseTo(plain.metrics[metric] as number, 4);
    }
    expect((await step({ name: 'deep' }, inputs(), { loss })).metrics.loss).toBeGreaterThan((plain.metrics.loss as number) + 0.001);
  });

  test.each(['adversarial', 'fgsm-rs', 'grad-align', 'trades', 'mart', 'awp'] as const)(
    '%s: with a warm-up, half the factor is the attack at half the radius',
    async (name) => {
      const values = { ...inputs(), normalNoise: images(7, -1) };
      const objective = { loss: 'cross-entropy' as const };
      const half = await step({ name, adversarial: { warmup: 0.5 } }, values, objective);
      const expected = await step({ name, adversarial: { epsLinf: 4 / 255, stepSizeLinf: 1 / 255 } }, values, objective);
      expect(maxDifference(half.gradients, expected.gradients)).toBeLessThan(1e-5 * Math.max(1, expected.metrics.loss as number));
      expect(half.metrics.loss).toBeCloseTo(expected.metrics.loss as number, 5);
      const full = await step({ name }, values, objective);
      expect(Math.abs((full.metrics.loss as number) - (half.metrics.loss as number))).toBeGreaterThan(0.001);
    },
  );

  test('strategies: compute the mean over the shard, so that halves average to the whole', async () => {
    const whole = await step({ name: 'deep' });
    const half = async (first: number) => {
      const program = createTrainProgram(smallConfig(QUICK_ENGINE, { strategy: { name: 'deep' } }), SAMPLES / 2).program;
      const part = (value: TensorValue): TensorValue => {
        const size = value.data.length / SAMPLES;
        return {
          ...value,
          shape: [SAMPLES / 2, ...value.shape.slice(1)],
          data: value.data.slice(first * size, (first + SAMPLES / 2) * size),
        };
      };
      const all = inputs();
      return runOnce(QUICK_ENGINE, program, { ...all, image: part(all.image as TensorValue), target: part(all.target as TensorValue) });
    };
    const [left, right] = [await half(0), await half(2)];
    for (const name of ['gradients', 'metrics'] as const) {
      const mean = valuesOf(left, name).map((value, i) => (value + (valuesOf(right, name)[i] as number)) / 2);
      expect(maxDifference(mean, name === 'metrics' ? whole.values : whole.gradients)).toBeLessThan(1e-4);
    }
  });

  test('adversarial: is the benchmark on the attacked images', async () => {
    const attack = { epsLinf: EPS, stepSizeLinf: EPS / 2, steps: 3 };
    const config = smallConfig(QUICK_ENGINE);
    const compiled = await (await engineOf(QUICK_ENGINE)).compile(createAttackStep(config, SAMPLES));
    for (const randomStart of [false, true]) {
      const values = inputs();
      const image0 = values.image as TensorValue;
      const noise = (values.noise as TensorValue).data;
      const moved = Float32Array.from(image0.data, (value, i) => Math.min(Math.max(value + EPS * (noise[i] as number), 0), 1));
      let image: TensorValue = randomStart ? { ...image0, data: moved } : image0;
      for (let i = 0; i < attack.steps; i++) {
        const bounds = { epsLinf: scalar(EPS), stepSizeLinf: scalar(EPS / 2) };
        image = { ...image0, data: valuesOf(await compiled.run({ ...values, image0, image, ...bounds }), 'image') };
      }
      const expected = await step({ name: 'benchmark' }, { ...values, image });
      const actual = await step({ name: 'adversarial', adversarial: { ...attack, randomStart } }, values);
      expect(actual.metrics.loss).toBeCloseTo(expected.metrics.loss as number, 3);
      expect(actual.metrics.loss).toBeGreaterThan((await step({ name: 'benchmark' }, values)).metrics.loss as number);
      const norm = Math.sqrt(expected.gradients.reduce((sum, value) => sum + value * value, 0));
      const off = Math.sqrt(actual.gradients.reduce((sum, value, i) => sum + (value - (expected.gradients[i] as number)) ** 2, 0));
      // A sign of a gradient at the rounding level may differ between the two programs.
      expect(off / norm).toBeLessThan(0.01);
    }
    await compiled.dispose();
  });

  test('createTrainProgram: leaves no tensors behind when run eagerly', async () => {
    const eager = await engineOf('eager');
    const compiled = await eager.compile(createTrainProgram(smallConfig('eager', { strategy: { name: 'deep' } }), 1).program);
    const all = inputs();
    const one = (value: TensorValue): TensorValue => {
      const data = value.data.slice(0, value.data.length / SAMPLES);
      return { ...value, shape: [1, ...value.shape.slice(1)], data };
    };
    const values = { ...all, image: one(all.image as TensorValue), target: one(all.target as TensorValue) };
    const before = tf.memory().numTensors;
    for (let i = 0; i < 2; i++) await compiled.run(values);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('resolveGfa', () => {
  test('resolveGfa: has the defaults of the strategy and of the training loss', () => {
    const first = resolveGfa(smallConfig(QUICK_ENGINE, { strategy: { name: 'first' }, objective: { loss: 'mse' } }));
    expect(first).toMatchObject({
      layers: ['input'],
      weights: [1],
      gradientOf: 'mse',
      alignment: 'tangential-energy',
      strength: 1,
      warmup: 0.3,
    });
    const deep = resolveGfa(smallConfig(QUICK_ENGINE, { strategy: { name: 'deep' } }));
    expect(deep).toMatchObject({ layers: ['conv1', 'conv2', 'conv3'], weights: [0.5, 0.3, 0.2], gradientOf: 'cross-entropy' });
  });

  test('resolveGfa: keeps what the config says', () => {
    const gfa = { layers: ['fc1', 'input'], weights: [2, 0], gradientOf: 'margin', strength: 4 } as const;
    expect(
      resolveGfa(
        smallConfig(QUICK_ENGINE, { strategy: { name: 'deep', gfa: { ...gfa, layers: [...gfa.layers], weights: [...gfa.weights] } } }),
      ),
    ).toMatchObject(gfa);
  });
});
