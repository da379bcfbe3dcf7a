/** @file What every training strategy must satisfy, whatever its formula: one table, one row per strategy. */
import { describe, expect, test } from 'vitest';
import { type ConfigInput, defaultNetwork } from '../../../src/config/index.ts';
import { Random, type TensorValue } from '../../../src/core/index.ts';
import { initialParameters } from '../../../src/nn/index.ts';
import { createTrainProgram } from '../../../src/strategies/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';

const SAMPLES = 2;

interface Row {
  readonly strategy: NonNullable<ConfigInput['strategy']>;
}

const ROWS: readonly Row[] = [
  { strategy: { name: 'benchmark' } },
  { strategy: { name: 'first' } },
  { strategy: { name: 'deep' } },
  { strategy: { name: 'gaie', gfa: { strength: 20 } } },
  { strategy: { name: 'denoise' } },
  { strategy: { name: 'adversarial', adversarial: { steps: 2 } } },
];

function inputs(): Record<string, TensorValue> {
  const random = new Random('synthetic', 11);
  const images = (low: number): TensorValue => ({
    shape: [SAMPLES, 32, 32, 3],
    dtype: 'float32',
    data: Float32Array.from({ length: SAMPLES * 3072 }, () => low + (1 - low) * random.uniform()),
  });
  const target = new Float32Array(SAMPLES * 10);
  for (const [i, label] of [3, 9].entries()) target[i * 10 + label] = 1;
  const flat = initialParameters(defaultNetwork('cnn3'), 'he', 2);
  return {
    parameters: { shape: [flat.length], dtype: 'float32', data: flat },
    image: images(0),
    target: { shape: [SAMPLES, 10], dtype: 'float32', data: target },
    gfaScale: { shape: [], dtype: 'float32', data: Float32Array.of(0.7) },
    noise: images(-1),
  };
}

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

describe('strategies', () => {
  test.each(ROWS)('$strategy.name: is finite, and a captured graph computes what eager TensorFlow.js does', async ({ strategy }) => {
    const { program, metricNames } = createTrainProgram(smallConfig(QUICK_ENGINE, { strategy }), SAMPLES);
    const captured = await runOnce(QUICK_ENGINE, program, inputs());
    const eager = await runOnce('eager', program, inputs());
    const metrics = valuesOf(captured, 'metrics');
    expect(metrics.length).toBe(metricNames.length);
    expect(metrics.every(Number.isFinite)).toBe(true);
    for (const [i, value] of valuesOf(eager, 'metrics').entries())
      expect(Math.abs((metrics[i] as number) / (value || 1) - 1) < 1e-3 || Math.abs((metrics[i] as number) - value) < 1e-5).toBe(true);
    const [expected, actual] = [valuesOf(eager, 'gradients'), valuesOf(captured, 'gradients')];
    const off = norm(actual.map((value, i) => value - (expected[i] as number)));
    expect(off / norm(expected)).toBeLessThan(5e-3);
  });

  test.each(ROWS.filter(({ strategy }) => strategy.name !== 'adversarial'))(
    '$strategy.name: has the gradient that differences give',
    async ({ strategy }) => {
      const { program } = createTrainProgram(smallConfig(QUICK_ENGINE, { strategy }), SAMPLES);
      const compiled = await (await engineOf(QUICK_ENGINE)).compile(program);
      const start = initialParameters(defaultNetwork('cnn3'), 'he', 2);
      const at = async (flat: Float32Array): Promise<{ loss: number; gradients: Float32Array }> => {
        const outputs = await compiled.run({ ...inputs(), parameters: { shape: [flat.length], dtype: 'float32', data: flat } });
        return { loss: valuesOf(outputs, 'metrics')[0] as number, gradients: valuesOf(outputs, 'gradients') };
      };
      const { gradients } = await at(start);
      const length = norm(gradients);
      const step = 2e-4;
      const along = async (sign: number): Promise<number> =>
        (await at(start.map((value, i) => value + (sign * step * (gradients[i] as number)) / length))).loss;
      const slope = ((await along(1)) - (await along(-1))) / (2 * step);
      expect(Math.abs(slope / length - 1)).toBeLessThan(2e-3);
      await compiled.dispose();
    },
  );
});
