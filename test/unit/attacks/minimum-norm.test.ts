import { beforeAll, describe, expect, test } from 'vitest';
import { type Attack, cw, deepFool, IMAGE_VALUES, logitMargin, type Samples, sampleRandom } from '../../../src/attacks/index.ts';
import { Random } from '../../../src/core/index.ts';
import { CompiledClassifier } from '../../../src/evaluation/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE } from '../../support/engines.ts';
import { expectIndependence } from '../../support/expect-independence.ts';
import { goldenBatch, goldenMissing, goldenParameters, goldenTitle, readGolden, toChannelsLast } from '../../support/golden.ts';
import { linearClassifier } from '../../support/linear-classifier.ts';

const distanceOf = (a: ArrayLike<number>, b: ArrayLike<number>, norm: 'l2' | 'linf'): number => {
  let [sum, largest] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const change = Math.abs((a[i] as number) - (b[i] as number));
    sum += change * change;
    largest = Math.max(largest, change);
  }
  return norm === 'l2' ? Math.sqrt(sum) : largest;
};

describe('minimum-norm attacks on a linear classifier', () => {
  const random = new Random('evaluation', 8);
  const weights = Float32Array.from({ length: IMAGE_VALUES }, () => random.normal());
  // Well inside the box, and 30 logits from the boundary: half a unit in L2, many steps of Adam.
  const image = Float32Array.from({ length: IMAGE_VALUES }, () => 0.4 + 0.2 * random.uniform());
  const GAP = 30;
  const bias = GAP - weights.reduce((sum, weight, i) => sum + weight * (image[i] as number), 0);
  const length = Math.sqrt(weights.reduce((sum, weight) => sum + weight * weight, 0));
  const sum = weights.reduce((total, weight) => total + Math.abs(weight), 0);
  const one: Samples = { count: 1, images: image, labels: Int32Array.of(0) };

  test.each([
    ['l2', GAP / length],
    ['linf', GAP / sum],
  ] as const)('deepfool in %s: goes the distance to the boundary and little further', async (norm, exact) => {
    const found = await deepFool({ norm })(linearClassifier(weights, bias), one, sampleRandom(1, 0));
    expect(distanceOf(found, image, norm)).toBeCloseTo(1.02 * (exact + 1e-4), 5);
  });

  test.each([0, -1000])('cw: comes near to the distance to the boundary, whatever the level of the logits (%d)', async (level) => {
    const shifted = linearClassifier(weights, bias);
    const classifier = {
      ...shifted,
      logits: async (looks: Parameters<typeof shifted.logits>[0]) => (await shifted.logits(looks)).map((value) => value + level),
      gradients: async (...[loss, looks]: Parameters<typeof shifted.gradients>) => {
        const seen = await shifted.gradients(loss, looks);
        return { ...seen, logits: seen.logits.map((value) => value + level) };
      },
    };
    const found = await cw({ steps: 200 })(classifier, one, sampleRandom(1, 0));
    expect(logitMargin(await classifier.logits({ count: 1, images: found }), 0)).toBeLessThanOrEqual(0);
    const distance = distanceOf(found, image, 'l2');
    expect(distance).toBeGreaterThan(GAP / length - 1e-5);
    expect(distance).toBeLessThan(1.05 * (GAP / length));
  });

  test('cw: pixels at 0 and 1 can move', async () => {
    const corners = Float32Array.from(weights, (weight) => (weight > 0 ? 1 : 0));
    // In tanh space a corner is far from everything.
    const ownBias = 0.3 - weights.reduce((total, weight, i) => total + weight * (corners[i] as number), 0);
    const classifier = linearClassifier(weights, ownBias);
    const found = await cw({ steps: 300, c: 1, searchSteps: 3 })(classifier, { ...one, images: corners }, sampleRandom(1, 0));
    expect(logitMargin(await classifier.logits({ count: 1, images: found }), 0)).toBeLessThanOrEqual(0);
  });

  test.each([
    ['deepfool', deepFool()],
    ['cw', cw({ steps: 5, searchSteps: 2 })],
  ])('%s: leaves what is misclassified as it is', async (_, attack) => {
    const found = await attack(linearClassifier(weights, bias), { ...one, labels: Int32Array.of(1) }, sampleRandom(1, 0));
    expect(found).toEqual(image);
  });
});

interface AttackJson {
  readonly result: { readonly success: readonly boolean[]; readonly l2: readonly number[] };
}

describe.skipIf(goldenMissing)(goldenTitle('minimum-norm attacks golden'), () => {
  const SAMPLES = 32;
  /** The image on which torchattacks' DeepFool ends on the boundary. */
  const TIED = 7;
  let classifier: CompiledClassifier;
  let samples: Samples;
  beforeAll(async () => {
    classifier = new CompiledClassifier(smallConfig(QUICK_ENGINE), await engineOf(QUICK_ENGINE)).use(goldenParameters());
    const { image, labels } = goldenBatch(0, SAMPLES);
    samples = { count: SAMPLES, images: image.data as Float32Array, labels };
  });
  const rowOf = (images: Float32Array, row: number) => images.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES);
  const isBroken = async (images: Float32Array): Promise<boolean[]> => {
    const logits = await classifier.logits({ count: SAMPLES, images });
    return Array.from(samples.labels, (label, row) => logitMargin(logits.subarray(row * 10, row * 10 + 10), label) <= 0);
  };

  test('deepfool: gives the images of torchattacks in its mode', async () => {
    const found = await deepFool({ compatibility: 'torchattacks' })(classifier, samples, sampleRandom(1, 0));
    const expected = toChannelsLast(readGolden('adv_std_deepfool').tensor('adv').data, [SAMPLES, 3, 32, 32]);
    for (let row = 0; row < SAMPLES; row++) {
      if (row === TIED) continue;
      expect.soft(distanceOf(rowOf(found, row), rowOf(expected as Float32Array, row), 'linf'), `image ${row}`).toBeLessThan(1e-4);
    }
  });

  test('deepfool: crosses the boundary with every image, also where torchattacks stops on it', async () => {
    const found = await deepFool()(classifier, samples, sampleRandom(1, 0));
    expect(await isBroken(found)).toEqual(Array.from({ length: SAMPLES }, () => true));
  });

  test('cw: is as near as torchattacks in its mode', async () => {
    const { result } = readGolden('adv_std_cw_c1').json as unknown as AttackJson;
    const attack = cw({ steps: 50, c: 1, searchSteps: 1, compatibility: 'torchattacks' });
    const found = await attack(classifier, samples, sampleRandom(1, 0));
    let near = 0;
    for (let row = 0; row < SAMPLES; row++) {
      const expected = result.l2[row] as number;
      const distance = distanceOf(rowOf(found, row), rowOf(samples.images, row), 'l2');
      if (Math.abs(distance - expected) <= 0.01 * expected + 1e-4) near += 1;
    }
    expect(near).toBeGreaterThanOrEqual(SAMPLES - 2);
  });

  test('results of a sample do not depend on the samples beside it', async () => {
    const attacks: Attack[] = [deepFool(), deepFool({ norm: 'linf' }), cw({ steps: 10, searchSteps: 2, c: 1 })];
    await expectIndependence(classifier, samples, attacks);
  });
});
