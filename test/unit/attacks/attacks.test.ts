import { beforeAll, describe, expect, test } from 'vitest';
import { ATTACKS, addScaledNoise, createAttackStep, fillUniformNoise, linfBall, pgd, projectToBall } from '../../../src/attacks/index.ts';
import { Random, type TensorValue } from '../../../src/core/index.ts';
import { tf } from '../../../src/engine/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { ENGINES, engineOf, QUICK_ENGINE, runOnce, valuesOf } from '../../support/engines.ts';
import { goldenBatch, goldenMissing, goldenParameters, goldenTitle, readGolden, toChannelsLast } from '../../support/golden.ts';

const SAMPLES = 32;
const scalar = (value: number): TensorValue => ({ shape: [], dtype: 'float32', data: Float32Array.of(value) });

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('attacks', () => {
  test('linfBall: cuts the ball to [0,1], and projectToBall brings values inside', () => {
    const ball = linfBall(tf.tensor1d([0, 0.25, 0.5, 1]), 0.125);
    expect(Array.from(ball.low.dataSync())).toEqual([0, 0.125, 0.375, 0.875]);
    expect(Array.from(ball.high.dataSync())).toEqual([0.125, 0.375, 0.625, 1]);
    const inside = projectToBall(ball, tf.tensor1d([-1, 0.3125, 0.9, 0.9375]));
    expect(Array.from(inside.dataSync())).toEqual([0, 0.3125, 0.625, 0.9375]);
  });

  test('schedules: fgsm is one full step, pgd ten quarter steps from a random start', () => {
    expect(ATTACKS.fgsm(0.03)).toEqual({ kind: 'steps', schedule: { steps: 1, stepSizeLinf: 0.03, randomStart: false } });
    expect(ATTACKS.pgd(8 / 255)).toEqual({ kind: 'steps', schedule: { steps: 10, stepSizeLinf: 2 / 255, randomStart: true } });
    expect(pgd(0.1, 40).steps).toBe(40);
  });

  test('random start: is uniform in [-1,1), depends on its key only, and stays in the ball', () => {
    const noise = new Float32Array(20_000);
    fillUniformNoise(new Random('evaluation', 4, 17), noise, 0, noise.length);
    const mean = noise.reduce((sum, value) => sum + value, 0) / noise.length;
    const variance = noise.reduce((sum, value) => sum + value * value, 0) / noise.length;
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(variance - 1 / 3)).toBeLessThan(0.01);
    expect(noise.every((value) => value >= -1 && value <= 1)).toBe(true);
    const part = new Float32Array(8);
    fillUniformNoise(new Random('evaluation', 4, 17), part, 3, 5);
    expect(Array.from(part)).toEqual([0, 0, 0, ...noise.subarray(0, 5)]);
    const image = Float32Array.of(0.02, 0.5, 0.99);
    addScaledNoise(image, Float32Array.of(-1, 0.5, 1), 0.1);
    for (const [i, value] of [0, 0.55, 1].entries()) expect(image[i]).toBeCloseTo(value, 6);
  });
});

interface AttackJson {
  readonly params: { readonly eps: number; readonly alpha?: number; readonly steps?: number };
  readonly result: { readonly success: readonly boolean[]; readonly pred: readonly number[] };
}

describe.skipIf(goldenMissing)(goldenTitle('attacks golden'), () => {
  const config = smallConfig(QUICK_ENGINE);
  const start = () => {
    const { image, target } = goldenBatch(0, SAMPLES);
    return { parameters: goldenParameters(), image0: image, image, target };
  };

  test.each([...ENGINES.map((engine) => ({ engine, eps: 8 })), { engine: QUICK_ENGINE, eps: 2 }])(
    'fgsm: gives the images of torchattacks at $eps/255 on $engine, but where the gradient is 0',
    async ({ engine, eps: eps255 }) => {
      const file = readGolden(`adv_std_fgsm_${eps255}`);
      const { params } = file.json as unknown as AttackJson;
      const inputs = start();
      const outputs = await runOnce(engine, createAttackStep(config, SAMPLES), {
        ...inputs,
        epsLinf: scalar(params.eps),
        stepSizeLinf: scalar(params.eps),
      });
      const expected = toChannelsLast(file.tensor('adv').data, [SAMPLES, 3, 32, 32]);
      const actual = valuesOf(outputs, 'image');
      // Signs of gradients at the rounding level may differ; everything else is equal to the last bit or one beside it.
      const different = actual.reduce((count, value, i) => count + (Math.abs(value - (expected[i] as number)) > 1.2e-7 ? 1 : 0), 0);
      expect(different).toBeLessThan(actual.length * 1e-4);
      const clean = inputs.image.data;
      expect(actual.every((value, i) => value >= 0 && value <= 1 && Math.abs(value - (clean[i] as number)) <= params.eps + 6e-8)).toBe(
        true,
      );
    },
    120_000,
  );

  test.each(['bim_4', 'pgd_8'])('pgd: gives the images of torchattacks without random start (%s)', async (name) => {
    const file = readGolden(`adv_std_${name}`);
    const { params } = file.json as unknown as AttackJson;
    const compiled = await (await engineOf(QUICK_ENGINE)).compile(createAttackStep(config, SAMPLES));
    const inputs = start();
    let image: TensorValue = inputs.image;
    for (let step = 0; step < (params.steps as number); step++) {
      const outputs = await compiled.run({ ...inputs, image, epsLinf: scalar(params.eps), stepSizeLinf: scalar(params.alpha as number) });
      image = { ...image, data: valuesOf(outputs, 'image') };
    }
    await compiled.dispose();
    const expected = toChannelsLast(file.tensor('adv').data, [SAMPLES, 3, 32, 32]);
    const perImage = Array.from({ length: SAMPLES }, (_, i) => {
      let off = 0;
      for (let k = i * 3072; k < (i + 1) * 3072; k++) if (Math.abs((image.data[k] as number) - (expected[k] as number)) > 1e-4) off++;
      return off;
    });
    // Flips of signs of tiny gradients multiply over the steps: 0.5 % of the values, on two images more.
    const worst = [...perImage].sort((a, b) => b - a).slice(2);
    expect(worst.reduce((sum, off) => sum + off, 0)).toBeLessThan(SAMPLES * 3072 * 0.005);
  });
});
