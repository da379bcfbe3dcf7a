/** @file Gradients of whole training losses against central differences, for settings that no golden file covers. */
import { describe, expect, test } from 'vitest';
import { type ConfigInput, defaultNetwork } from '../../../src/config/index.ts';
import { Random, type TensorValue } from '../../../src/core/index.ts';
import { initialParameters } from '../../../src/nn/index.ts';
import { createTrainProgram } from '../../../src/strategies/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE, valuesOf } from '../../support/engines.ts';

const SAMPLES = 3;

type Gfa = NonNullable<NonNullable<ConfigInput['strategy']>['gfa']>;
const cases: readonly { gfa: Gfa; loss: 'cross-entropy' | 'mse'; inputRange: 'unit' | 'signed' }[] = [
  { gfa: { alignment: 'tangential-energy', gradientOf: 'cross-entropy' }, loss: 'cross-entropy', inputRange: 'unit' },
  {
    gfa: { alignment: 'negative-gradient', gradientOf: 'mse', layers: ['conv2', 'fc1'], weights: [2, 3], strength: 50 },
    loss: 'cross-entropy',
    inputRange: 'signed',
  },
  { gfa: { alignment: 'squared', gradientOf: 'margin', layers: ['conv3'], weights: [4], strength: 300 }, loss: 'mse', inputRange: 'unit' },
  {
    gfa: { alignment: 'positive', gradientOf: 'true-logit', layers: ['input', 'conv1'], weights: [1, 2], strength: 500 },
    loss: 'mse',
    inputRange: 'signed',
  },
  { gfa: { alignment: 'tangential-energy', layers: ['input'], weights: [1] }, loss: 'mse', inputRange: 'signed' },
  {
    gfa: { alignment: 'absolute', gradientOf: 'margin', layers: ['input', 'fc1'], weights: [1, 1], strength: 100 },
    loss: 'cross-entropy',
    inputRange: 'unit',
  },
];

function batch(): { image: TensorValue; target: TensorValue } {
  const random = new Random('synthetic', 11);
  const image = Float32Array.from({ length: SAMPLES * 3072 }, () => random.uniform());
  const target = new Float32Array(SAMPLES * 10);
  for (const [i, label] of [3, 9, 0].entries()) target[i * 10 + label] = 1;
  return {
    image: { shape: [SAMPLES, 32, 32, 3], dtype: 'float32', data: image },
    target: { shape: [SAMPLES, 10], dtype: 'float32', data: target },
  };
}

describe('gfa', () => {
  test.each(cases)(
    'gfa: has the gradient that differences give for $gfa.alignment of $gfa.gradientOf with $loss and $inputRange inputs',
    async ({ gfa, loss, inputRange }) => {
      const config = smallConfig(QUICK_ENGINE, { model: { inputRange }, objective: { loss }, strategy: { name: 'deep', gfa } });
      const program = await (await engineOf(QUICK_ENGINE)).compile(createTrainProgram(config, SAMPLES).program);
      const start = initialParameters(defaultNetwork('cnn3'), 'he', 2);
      const at = async (flat: Float32Array): Promise<{ loss: number; gradients: Float32Array }> => {
        const gfaScale: TensorValue = { shape: [], dtype: 'float32', data: Float32Array.of(0.7) };
        const outputs = await program.run({ ...batch(), parameters: { shape: [flat.length], dtype: 'float32', data: flat }, gfaScale });
        return { loss: valuesOf(outputs, 'metrics')[0] as number, gradients: valuesOf(outputs, 'gradients') };
      };
      const { gradients } = await at(start);
      // Along the gradient itself, where the derivative is largest: d loss = |gradient|.
      const norm = Math.sqrt(gradients.reduce((sum, value) => sum + value * value, 0));
      // Small enough that no ReLU switches here: where one does, the feature gradient jumps.
      const step = 2e-4;
      const along = async (sign: number): Promise<number> =>
        (await at(start.map((value, i) => value + (sign * step * (gradients[i] as number)) / norm))).loss;
      const slope = ((await along(1)) - (await along(-1))) / (2 * step);
      expect(Math.abs(slope / norm - 1)).toBeLessThan(2e-3);
      await program.dispose();
    },
  );
});
