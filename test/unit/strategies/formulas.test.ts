/** @file Each strategy against its formula, written down once more in plain numbers: from logits, gradients and attacked images of other programs. */
import { describe, expect, test } from 'vitest';
import { type AttackLoss, createAttackGradient } from '../../../src/attacks/index.ts';
import { type ConfigInput, parameterSpecs } from '../../../src/config/index.ts';
import { Random, sizeOf, type TensorValue } from '../../../src/core/index.ts';
import { createPredict } from '../../../src/evaluation/index.ts';
import { flattenGradients, initialParameters, named, splitParameters } from '../../../src/nn/index.ts';
import { createStrategy, createTrainProgram } from '../../../src/strategies/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';

const SAMPLES = 2;
const SIZE = 3072;
const LABELS = [3, 9];
const EPS = 8 / 255;
const STEP = 2 / 255;
const SCALE = 0.7;

const images = (draw: () => number): TensorValue => ({
  shape: [SAMPLES, 32, 32, 3],
  dtype: 'float32',
  data: Float32Array.from({ length: SAMPLES * SIZE }, draw),
});
const random = new Random('synthetic', 12);
const clean = images(() => random.uniform());
const noise = images(() => 2 * random.uniform() - 1);
const normalNoise = images(() => random.normal());
const target: TensorValue = {
  shape: [SAMPLES, 10],
  dtype: 'float32',
  data: Float32Array.from({ length: SAMPLES * 10 }, (_, i) => (i % 10 === LABELS[Math.floor(i / 10)] ? 1 : 0)),
};

/** What a strategy makes of two images: its metrics, the images that it trains on, and the parameters at which it differentiates. */
async function observe(input: ConfigInput) {
  const config = smallConfig(QUICK_ENGINE, input);
  const flat = initialParameters(config.model, 'he', 2);
  const parameters: TensorValue = { shape: [flat.length], dtype: 'float32', data: flat };
  const gfaScale: TensorValue = { shape: [], dtype: 'float32', data: Float32Array.of(SCALE) };
  const values = { parameters, image: clean, target, gfaScale, noise, normalNoise };
  const { program, metricNames } = createTrainProgram(config, SAMPLES);
  const outputs = await runOnce(QUICK_ENGINE, program, values);
  const metrics = Object.fromEntries(metricNames.map((name, i) => [name, valuesOf(outputs, 'metrics')[i] as number]));
  const strategy = createStrategy(config, SAMPLES);
  const constants = await runOnce(
    QUICK_ENGINE,
    {
      name: 'constants',
      inputs: program.inputs,
      build: (given) => {
        const params = splitParameters(config.model, named(given, 'parameters'));
        const image = strategy.prepareImage(given, params);
        const step = { inputs: given, image, target: named(given, 'target'), gfaScale: named(given, 'gfaScale'), params };
        const at = strategy.differentiateAt?.(step) ?? params;
        return { image, at: flattenGradients(parameterSpecs(config.model).map(({ name }) => named(at, name))) };
      },
    },
    values,
  );
  const at = (image: TensorValue, own: Float32Array = flat) => ({ config, image, parameters: { ...parameters, data: own } });
  return {
    metrics,
    config,
    flat,
    moved: valuesOf(constants, 'at') as Float32Array,
    attacked: { ...clean, data: valuesOf(constants, 'image') as Float32Array },
    logitsOf: async (image: TensorValue, own?: Float32Array) => {
      const { parameters: weights } = at(image, own);
      const found = await runOnce(QUICK_ENGINE, createPredict(config, SAMPLES), { parameters: weights, image, target });
      return LABELS.map((_, row) => [...valuesOf(found, 'logits').slice(row * 10, (row + 1) * 10)]);
    },
    gradientOf: async (loss: AttackLoss, image: TensorValue) => {
      const found = await runOnce(QUICK_ENGINE, createAttackGradient(config, SAMPLES, loss), { parameters, image, label: target });
      return LABELS.map((_, row) => valuesOf(found, 'gradient').slice(row * SIZE, (row + 1) * SIZE) as Float32Array);
    },
  };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const softmax = (logits: readonly number[]): number[] => {
  const powers = logits.map((value) => Math.exp(value - Math.max(...logits)));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
};
const crossEntropyOf = (logits: readonly number[], row: number): number => -Math.log(softmax(logits)[LABELS[row] as number] as number);
const divergence = (p: readonly number[], q: readonly number[]): number =>
  p.reduce((sum, value, k) => sum + value * Math.log(value / (q[k] as number)), 0);
const ball = (image: number, value: number): number => Math.min(Math.max(value, Math.max(image - EPS, 0)), Math.min(image + EPS, 1));

/** Every attacked value is the start moved by the step, up, down or not at all, and projected. */
function expectOneStep(attacked: Float32Array, startOf: (i: number) => number, size: number): void {
  let moved = 0;
  for (const [i, value] of attacked.entries()) {
    const image = clean.data[i] as number;
    const distances = [-size, 0, size].map((step) => Math.abs(value - ball(image, startOf(i) + step)));
    expect(Math.min(...distances)).toBeLessThan(2e-7);
    if ((distances[1] as number) > 1e-4) moved += 1;
  }
  expect(moved).toBeGreaterThan(0.8 * attacked.length);
}
const uniformStart = (i: number): number => ball(clean.data[i] as number, (clean.data[i] as number) + EPS * (noise.data[i] as number));

describe('strategies by their formulas', () => {
  test('trades: CE of the clean image + beta KL(clean || attacked), which is not the other way round', async () => {
    const { metrics, logitsOf, attacked } = await observe({ strategy: { name: 'trades', trades: { beta: 6, steps: 3 } } });
    const [before, after] = [await logitsOf(clean), await logitsOf(attacked)];
    const plain = mean(before.map(crossEntropyOf));
    const right = mean(before.map((logits, row) => divergence(softmax(logits), softmax(after[row] as number[]))));
    const wrong = mean(before.map((logits, row) => divergence(softmax(after[row] as number[]), softmax(logits))));
    expect(metrics['trades/divergence']).toBeCloseTo(right, 5);
    expect(Math.abs(right - wrong)).toBeGreaterThan(1e-3);
    expect(metrics.lossTerm).toBeCloseTo(plain, 4);
    expect(metrics.loss).toBeCloseTo(plain + 6 * right, 4);
  });

  test('mart: boosted cross-entropy of the attacked image + lambda KL weighted by 1 - p of the clean label', async () => {
    const { metrics, logitsOf, attacked } = await observe({ strategy: { name: 'mart', mart: { lambda: 5, steps: 2 } } });
    const [before, after] = [(await logitsOf(clean)).map(softmax), (await logitsOf(attacked)).map(softmax)];
    const boosted = mean(
      after.map((p, row) => {
        const label = LABELS[row] as number;
        const other = Math.max(...p.filter((_, k) => k !== label));
        return -Math.log(p[label] as number) - Math.log(1.0001 - other);
      }),
    );
    const weighted = mean(before.map((p, row) => divergence(p, after[row] as number[]) * (1 - (p[LABELS[row] as number] as number))));
    expect(metrics.lossTerm).toBeCloseTo(boosted, 4);
    expect(metrics['mart/divergence']).toBeCloseTo(weighted, 5);
    expect(metrics.loss).toBeCloseTo(boosted + 5 * weighted, 4);
  });

  test.each(['cross-entropy', 'mse'] as const)('label smoothing: the target is (1 - a) one-hot + a / classes (%s)', async (loss) => {
    const { metrics, logitsOf } = await observe({ strategy: { name: 'benchmark' }, objective: { loss, labelSmoothing: 0.3 } });
    const logits = await logitsOf(clean);
    const share = (row: number, k: number): number => 0.03 + (k === LABELS[row] ? 0.7 : 0);
    const expected = mean(
      logits.map((z, row) =>
        loss === 'mse'
          ? z.reduce((sum, value, k) => sum + (value - share(row, k)) ** 2, 0)
          : -softmax(z).reduce((sum, p, k) => sum + share(row, k) * Math.log(p), 0),
      ),
    );
    expect(Math.abs((metrics.loss as number) / expected - 1)).toBeLessThan(1e-4);
  });

  test('awp: weights move by gamma times their length along their gradient, biases stay, and the loss is that there', async () => {
    const gamma = 0.01;
    const { metrics, flat, moved, config, attacked, logitsOf } = await observe({ strategy: { name: 'awp', awp: { gamma, steps: 2 } } });
    let from = 0;
    for (const { name, shape } of parameterSpecs(config.model)) {
      const [before, after] = [flat, moved].map((values) => values.slice(from, from + sizeOf(shape))) as [Float32Array, Float32Array];
      const change = norm(after.map((value, i) => value - (before[i] as number)));
      if (name.endsWith('.weight')) expect(change / norm(before), name).toBeCloseTo(gamma, 4);
      else expect(change, name).toBe(0);
      from += sizeOf(shape);
    }
    const [plain, worse] = [
      mean((await logitsOf(attacked)).map(crossEntropyOf)),
      mean((await logitsOf(attacked, moved)).map(crossEntropyOf)),
    ];
    expect(worse).toBeGreaterThan(plain);
    expect(metrics.loss).toBeCloseTo(worse, 4);
  });

  test.each(['adversarial', 'mart', 'awp'] as const)('%s: attacks start at a uniform point of the ball', async (name) => {
    const one = { steps: 1 };
    const { attacked } = await observe({ strategy: { name, adversarial: one, mart: one, awp: one } });
    expectOneStep(attacked.data as Float32Array, uniformStart, STEP);
  });

  test('trades: attacks start 0.001 N(0, I) from the image', async () => {
    const { attacked } = await observe({ strategy: { name: 'trades', trades: { steps: 1 } } });
    expectOneStep(attacked.data as Float32Array, (i) => (clean.data[i] as number) + 0.001 * (normalNoise.data[i] as number), STEP);
  });

  test('fgsm-rs: one step of 1.25 eps from a uniform point of the ball', async () => {
    const { attacked } = await observe({ strategy: { name: 'fgsm-rs' } });
    expectOneStep(attacked.data as Float32Array, uniformStart, 1.25 * EPS);
  });

  test('grad-align: loss at the FGSM image + lambda (1 - cosine of the gradients at the image and at a random point of the ball)', async () => {
    const { metrics, attacked, logitsOf, gradientOf } = await observe({ strategy: { name: 'grad-align', gradAlign: { lambda: 2 } } });
    expectOneStep(attacked.data as Float32Array, (i) => clean.data[i] as number, EPS);
    const near = { ...clean, data: (clean.data as Float32Array).map((value, i) => value + EPS * (noise.data[i] as number)) };
    const [here, there] = [await gradientOf('cross-entropy', clean), await gradientOf('cross-entropy', near)];
    const cosine = mean(
      here.map((g, row) => {
        const other = there[row] as Float32Array;
        return g.reduce((sum, value, i) => sum + value * (other[i] as number), 0) / (norm(g) * norm(other));
      }),
    );
    const plain = mean((await logitsOf(attacked)).map(crossEntropyOf));
    expect(metrics['gradAlign/cosine']).toBeCloseTo(cosine, 4);
    expect(cosine).toBeLessThan(0.999);
    expect(metrics.loss).toBeCloseTo(plain + 2 * (1 - cosine), 3);
  });

  test.each(['unit', 'signed'] as const)('gradient-norm: L1 of the gradient in [0,1] pixel units (%s inputs)', async (inputRange) => {
    const { metrics, gradientOf } = await observe({
      strategy: { name: 'gradient-norm', gradientNorm: { strength: 0.5 } },
      model: { inputRange },
    });
    const lengths = (await gradientOf('cross-entropy', clean)).map((g) => g.reduce((sum, value) => sum + Math.abs(value), 0));
    const penalty = 0.5 * mean(lengths);
    expect(Math.abs(((metrics.loss as number) - (metrics.lossTerm as number)) / penalty - 1)).toBeLessThan(1e-3);
  });

  test.each([
    ['unit', 1],
    ['signed', 2],
  ] as const)('gaie: squared length of the gradient at the image as the network sees it (%s inputs)', async (inputRange, slope) => {
    const { metrics, gradientOf } = await observe({ strategy: { name: 'gaie', gfa: { strength: 3 } }, model: { inputRange } });
    const energies = (await gradientOf('cross-entropy', clean)).map((g) => (norm(g) / slope) ** 2);
    const penalty = SCALE * 3 * mean(energies);
    expect(Math.abs(((metrics.loss as number) - (metrics.lossTerm as number)) / penalty - 1)).toBeLessThan(1e-3);
  });
});
