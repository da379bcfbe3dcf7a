/** @file What every training strategy must satisfy, whatever its formula: one table, one row per strategy. */
import { describe, expect, test } from 'vitest';
import { type Config, parameterSpecs, STRATEGY_NAMES } from '../../../src/config/index.ts';
import { Random, type TensorValue } from '../../../src/core/index.ts';
import type { Program } from '../../../src/engine/index.ts';
import { flattenGradients, initialParameters, named, splitParameters } from '../../../src/nn/index.ts';
import { createStrategy, createTrainProgram, trainProgram } from '../../../src/strategies/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';
import { STRATEGY_ROWS } from '../../support/strategy-rows.ts';

const SAMPLES = 2;

const rows = STRATEGY_ROWS.map(({ title, input, difference = 2e-4 }) => ({ title, difference, config: smallConfig(QUICK_ENGINE, input) }));

function inputs({ model }: Config): Record<string, TensorValue> {
  const random = new Random('synthetic', 11);
  const images = (draw: () => number): TensorValue => ({
    shape: [SAMPLES, 32, 32, 3],
    dtype: 'float32',
    data: Float32Array.from({ length: SAMPLES * 3072 }, draw),
  });
  const target = new Float32Array(SAMPLES * 10);
  for (const [i, label] of [3, 9].entries()) target[i * 10 + label] = 1;
  return {
    parameters: vector(initialParameters(model, 'he', 2)),
    image: images(() => random.uniform()),
    target: { shape: [SAMPLES, 10], dtype: 'float32', data: target },
    gfaScale: { shape: [], dtype: 'float32', data: Float32Array.of(0.7) },
    noise: images(() => 2 * random.uniform() - 1),
    normalNoise: images(() => random.normal()),
  };
}

const vector = (data: Float32Array): TensorValue => ({ shape: [data.length], dtype: 'float32', data });
const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
/** |a - b| / |b|. */
const distance = (a: Float32Array, b: Float32Array): number => norm(a.map((value, i) => value - (b[i] as number))) / norm(b);

/** What a step treats as constant: the image that it trains on and the parameters at which it differentiates. */
function constantsOf(config: Config): Program {
  const strategy = createStrategy(config, SAMPLES);
  return {
    name: 'constants',
    inputs: createTrainProgram(config, SAMPLES).program.inputs,
    build: (given) => {
      const params = splitParameters(config.model, named(given, 'parameters'));
      const attacked = strategy.prepareImage(given, params);
      const step = { inputs: given, image: attacked, target: named(given, 'target'), gfaScale: named(given, 'gfaScale'), params };
      const at = strategy.differentiateAt?.(step) ?? params;
      return { attacked, parameters: flattenGradients(parameterSpecs(config.model).map(({ name }) => named(at, name))) };
    },
  };
}

describe('strategies', () => {
  test('all have a row', () => {
    const names = rows.map(({ config }) => config.strategy.name);
    expect(STRATEGY_NAMES.filter((name) => !names.includes(name))).toEqual([]);
  });

  test.each(rows)('$title: is finite, and a captured graph computes what eager TensorFlow.js does', async ({ config }) => {
    const { program, metricNames } = createTrainProgram(config, SAMPLES);
    const captured = await runOnce(QUICK_ENGINE, program, inputs(config));
    const eager = await runOnce('eager', program, inputs(config));
    const [metrics, expected] = [valuesOf(captured, 'metrics'), valuesOf(eager, 'metrics')];
    expect(metrics.length).toBe(metricNames.length);
    expect(metrics.every(Number.isFinite)).toBe(true);
    for (const [i, name] of metricNames.entries()) {
      const want = expected[i] as number;
      expect.soft(Math.abs((metrics[i] as number) - want), name).toBeLessThan(1e-3 * Math.max(1, Math.abs(want)));
    }
    // A sign of an attack's gradient at the rounding level may differ between the two.
    expect(distance(valuesOf(captured, 'gradients'), valuesOf(eager, 'gradients'))).toBeLessThan(5e-3);
  });

  test.each(rows)('$title: has the gradient that differences give, with the attack frozen', async ({ config, difference: step }) => {
    const { attacked, parameters } = (await runOnce(QUICK_ENGINE, constantsOf(config), inputs(config))) as Record<string, TensorValue>;
    const strategy = createStrategy(config, SAMPLES);
    const { differentiateAt: _, ...frozen } = {
      ...strategy,
      extraInputs: [...strategy.extraInputs, { name: 'attacked', shape: [SAMPLES, 32, 32, 3], dtype: 'float32' as const }],
      prepareImage: (given: Parameters<typeof strategy.prepareImage>[0]) => named(given, 'attacked'),
    };
    const compiled = await (await engineOf(QUICK_ENGINE)).compile(trainProgram(config, SAMPLES, frozen).program);
    const at = async (flat: Float32Array): Promise<{ loss: number; gradients: Float32Array }> => {
      const outputs = await compiled.run({ ...inputs(config), attacked: attacked as TensorValue, parameters: vector(flat) });
      return { loss: valuesOf(outputs, 'metrics')[0] as number, gradients: valuesOf(outputs, 'gradients') };
    };
    const start = parameters?.data as Float32Array;
    const { gradients } = await at(start);
    // Along the gradient itself, where the derivative is largest.
    const length = norm(gradients);
    const along = async (sign: number): Promise<number> =>
      (await at(start.map((value, i) => value + (sign * step * (gradients[i] as number)) / length))).loss;
    const slope = ((await along(1)) - (await along(-1))) / (2 * step);
    expect(Math.abs(slope / length - 1)).toBeLessThan(3e-3);
    const whole = await runOnce(QUICK_ENGINE, createTrainProgram(config, SAMPLES).program, inputs(config));
    expect(distance(valuesOf(whole, 'gradients'), gradients)).toBeLessThan(5e-3);
    await compiled.dispose();
  });
});
