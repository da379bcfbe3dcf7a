import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { defaultNetwork, MODEL_NAMES } from '../../../src/config/index.ts';
import type { Program } from '../../../src/engine/index.ts';
import { exportOnnx, forward, initialParameters, named, parameterCount, splitParameters } from '../../../src/nn/index.ts';
import { QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';
import { goldenMissing, goldenParameters, goldenTitle, maxDifference, readGolden, toChannelsLast } from '../../support/golden.ts';

const image = (samples: number): Float32Array => Float32Array.from({ length: samples * 3072 }, (_, i) => ((i * 7919) % 997) / 996);

async function runExported(bytes: Uint8Array, pixels: Float32Array): Promise<Float32Array> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1 });
  const { logits } = await session.run({ image: new Tensor('float32', pixels, [pixels.length / 3072, 3, 32, 32]) });
  await session.release();
  return logits?.data as Float32Array;
}

describe('exportOnnx', () => {
  test.each(MODEL_NAMES)('exportOnnx: gives a file whose logits are those of the engine for %s, at any batch size', async (model) => {
    const parameters = initialParameters(defaultNetwork(model), 'he', 3);
    parameters.set([0.3, -0.2, 0.1], parameters.length - 3);
    const program: Program = {
      name: 'logits',
      inputs: [
        { name: 'parameters', shape: [parameterCount(defaultNetwork(model))], dtype: 'float32' },
        { name: 'image', shape: [3, 32, 32, 3], dtype: 'float32' },
      ],
      build: (inputs) => ({
        logits: forward(
          { ...defaultNetwork(model), inputRange: 'signed' },
          splitParameters(defaultNetwork(model), named(inputs, 'parameters')),
          named(inputs, 'image'),
        ).logits,
      }),
    };
    const outputs = await runOnce(QUICK_ENGINE, program, {
      parameters: { shape: [parameters.length], dtype: 'float32', data: parameters },
      image: { shape: [3, 32, 32, 3], dtype: 'float32', data: toChannelsLast(image(3), [3, 3, 32, 32]) },
    });
    const file = exportOnnx({ ...defaultNetwork(model), inputRange: 'signed' }, parameters);
    const three = await runExported(file, image(3));
    expect(maxDifference(three, valuesOf(outputs, 'logits'))).toBeLessThan(1e-4);
    const one = await runExported(file, image(1));
    expect(maxDifference(one, three.slice(0, 10))).toBeLessThan(1e-4);
  });

  test('exportOnnx: refuses weights of another model', () => {
    expect(() => exportOnnx(defaultNetwork('vgg6'), new Float32Array(146122))).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_OTHER_MODEL' }),
    );
  });
});

describe.skipIf(goldenMissing)(goldenTitle('exportOnnx golden'), () => {
  test('exportOnnx: gives the logits of PyTorch', async () => {
    const pixels = Float32Array.from(
      readGolden('images256')
        .tensor('images')
        .data.subarray(0, 32 * 3072),
      (value) => value / 255,
    );
    const logits = await runExported(exportOnnx(defaultNetwork('cnn3'), goldenParameters().data as Float32Array), pixels);
    expect(maxDifference(logits, readGolden('forward_std').tensor('logits_f64').data)).toBeLessThan(1e-5);
  });
});
