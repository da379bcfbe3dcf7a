import { describe, expect, test } from 'vitest';
import { IMAGE_VALUES } from '../../../src/attacks/index.ts';
import { Random } from '../../../src/core/index.ts';
import { CompiledClassifier } from '../../../src/evaluation/index.ts';
import { initialParameters } from '../../../src/nn/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE } from '../../support/engines.ts';

describe('CompiledClassifier', () => {
  test('the gradients of all logits are those of differences of logits', async () => {
    const config = smallConfig(QUICK_ENGINE, { evaluation: { attackBatchSize: 2 } });
    const data = initialParameters(config.model, config.model.initialisation, 1);
    const classifier = new CompiledClassifier(config, await engineOf(QUICK_ENGINE)).use({ shape: [data.length], dtype: 'float32', data });
    const random = new Random('evaluation', 3);
    const images = Float32Array.from({ length: 3 * IMAGE_VALUES }, () => random.uniform());
    const [labels, targets] = [Int32Array.of(0, 4, 9), Int32Array.of(1, 2, 3)];
    const { logits, jacobian } = await classifier.logitGradients({ count: 3, images });
    expect(Array.from(logits)).toEqual(Array.from(await classifier.logits({ count: 3, images })));
    const { gradient } = await classifier.gradients('margin-targeted', { count: 3, images, labels, targets });
    for (let row = 0; row < 3; row++) {
      const of = (k: number, i: number) => jacobian[(row * classifier.classes + k) * IMAGE_VALUES + i] as number;
      for (let i = 0; i < IMAGE_VALUES; i += 97)
        expect(of(targets[row] as number, i) - of(labels[row] as number, i)).toBeCloseTo(gradient[row * IMAGE_VALUES + i] as number, 5);
    }
  });
});
