import { beforeAll, describe, expect, test } from 'vitest';
import {
  type Attack,
  apgd,
  autoAttack,
  type Classifier,
  changeToHyperplane,
  fab,
  fabTargeted,
  IMAGE_VALUES,
  logitMargin,
  normOf,
  type Samples,
  sampleRandom,
  sparseFool,
} from '../../../src/attacks/index.ts';
import { Random } from '../../../src/core/index.ts';
import { CompiledClassifier } from '../../../src/evaluation/index.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE } from '../../support/engines.ts';
import { expectIndependence } from '../../support/expect-independence.ts';
import { goldenBatch, goldenMissing, goldenParameters, goldenTitle, readGolden, toChannelsLast } from '../../support/golden.ts';
import { linearClassifier } from '../../support/linear-classifier.ts';

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
const minus = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value - (b[i] as number));

describe('the smallest change to a hyperplane', () => {
  test.each([
    ['linf', [0.1, -0.1, 0.1]],
    ['l2', [(3 * 0.6) / 14, (-2 * 0.6) / 14, (1 * 0.6) / 14]],
    ['l1', [0.2, 0, 0]],
  ] as const)('%s: is the closed form inside of the box', (norm, expected) => {
    // 0.6 below the plane of 3 a - 2 b + c.
    const change = changeToHyperplane(norm, Float32Array.of(0.5, 0.5, 0.5), Float32Array.of(3, -2, 1), -0.6);
    for (const [i, value] of expected.entries()) expect(change[i]).toBeCloseTo(value, 6);
  });

  test.each([
    // a can rise by 0.1 only, which leaves 0.3 of 0.6.
    ['linf', [0.1, -0.1, 0.1], -0.6],
    ['l1', [0.1, -0.15, 0], -0.6],
    // 2 b + c share what is left: 0.3 = 5 t.
    ['l2', [0.1, -0.12, 0.06], -0.6],
    // The plane is beyond the corner.
    ['l2', [0.1, -0.5, 0.5], -60],
    ['linf', [0.1, -0.5, 0.5], -60],
    ['l1', [0.1, -0.5, 0.5], -60],
  ] as const)('%s: stays in the box %j', (norm, expected, value) => {
    const change = changeToHyperplane(norm, Float32Array.of(0.9, 0.5, 0.5), Float32Array.of(3, -2, 1), value);
    for (const [i, each] of expected.entries()) expect(change[i]).toBeCloseTo(each, 6);
  });

  test.each(['linf', 'l2', 'l1'] as const)('%s: reaches the plane with no longer a change than random ones', (norm) => {
    const random = new Random('evaluation', 3);
    const size = 200;
    const point = Float32Array.from({ length: size }, () => random.uniform());
    const normal = Float32Array.from({ length: size }, () => random.normal());
    for (const value of [-8, -1, 0.5, 4]) {
      const change = changeToHyperplane(norm, point, normal, value);
      expect(value + dot(normal, change)).toBeCloseTo(0, 4);
      for (const [i, moved] of change.entries()) {
        expect((point[i] as number) + moved).toBeGreaterThan(-1e-6);
        expect((point[i] as number) + moved).toBeLessThan(1 + 1e-6);
      }
      // Moves along the plane that stay in the box never make it shorter: a convex problem has no other optimum nearby.
      for (let draw = 0; draw < 200; draw++) {
        const [i, j] = [Math.floor(size * random.uniform()), Math.floor(size * random.uniform())];
        if (i === j) continue;
        const other = change.slice();
        const shift = 0.01 * random.normal();
        other[i] = (other[i] as number) + shift / (normal[i] as number);
        other[j] = (other[j] as number) - shift / (normal[j] as number);
        const inside = [i, j].every((k) => {
          const there = (point[k] as number) + (other[k] as number);
          return there >= 0 && there <= 1;
        });
        if (inside) expect(normOf(norm, other)).toBeGreaterThan(normOf(norm, change) - 1e-5);
      }
    }
  });
});

describe('on a linear classifier', () => {
  const random = new Random('evaluation', 8);
  const weights = Float32Array.from({ length: IMAGE_VALUES }, () => random.normal());
  const image = Float32Array.from({ length: IMAGE_VALUES }, () => 0.4 + 0.2 * random.uniform());
  const GAP = 30;
  const classifier = linearClassifier(weights, GAP - dot(weights, image));
  const one: Samples = { count: 1, images: image, labels: Int32Array.of(0) };
  const exact = {
    linf: GAP / normOf('l1', weights),
    l2: GAP / normOf('l2', weights),
    l1: GAP / normOf('linf', weights),
  };

  test.each([
    ['fab', 'linf', fab],
    ['fab', 'l2', fab],
    ['fab-t', 'linf', fabTargeted],
    ['fab-t', 'l2', fabTargeted],
  ] as const)(
    '%s in %s: comes near to the distance to the boundary, from the clean image and from random starts',
    async (_, norm, attack) => {
      for (const restarts of [1, 3]) {
        const found = await attack({ norm, steps: 20, restarts })(classifier, one, sampleRandom(1, 0));
        expect(logitMargin(await classifier.logits({ count: 1, images: found }), 0)).toBeLessThanOrEqual(0);
        const distance = normOf(norm, minus(found, image));
        expect(distance).toBeGreaterThan(exact[norm] - 1e-5);
        expect(distance).toBeLessThan(1.01 * exact[norm]);
      }
    },
  );

  test('fab within a distance: returns the clean image where there is nothing so near, else any image so near', async () => {
    const near = await fabTargeted({ norm: 'l2', within: 0.9 * exact.l2 })(classifier, one, sampleRandom(1, 0));
    expect(near).toEqual(image);
    const far = await fabTargeted({ norm: 'l2', within: 1.2 * exact.l2 })(classifier, one, sampleRandom(1, 0));
    expect(normOf('l2', minus(far, image))).toBeLessThan(1.2 * exact.l2);
    expect(logitMargin(await classifier.logits({ count: 1, images: far }), 0)).toBeLessThanOrEqual(0);
  });

  test('sparsefool: changes the steepest values, one after the other, and no more than it needs', async () => {
    const found = await sparseFool()(classifier, one, sampleRandom(1, 0));
    expect(logitMargin(await classifier.logits({ count: 1, images: found }), 0)).toBeLessThanOrEqual(0);
    const change = minus(found, image);
    const changed = [...change.keys()].filter((i) => change[i] !== 0);
    const steepest = [...weights.keys()].sort((a, b) => Math.abs(weights[b] as number) - Math.abs(weights[a] as number));
    expect(new Set(changed)).toEqual(new Set(steepest.slice(0, changed.length)));
    // What all but the last could do, at least 0.4 each, is too little to cross the plane that lambda 3 is beyond.
    const power = changed.slice(0, -1).reduce((sum, i) => sum + 0.4 * Math.abs(weights[i] as number), 0);
    expect(power).toBeLessThan(3.2 * GAP);
  });

  test.each([
    ['fab', fab({ norm: 'linf' })],
    ['fab-t', fabTargeted({ norm: 'linf' })],
    ['sparsefool', sparseFool()],
  ])('%s: leaves what is misclassified, and what has no gradient, as it is', async (_, attack) => {
    expect(await attack(classifier, { ...one, labels: Int32Array.of(1) }, sampleRandom(1, 0))).toEqual(image);
    expect(await attack(linearClassifier(new Float32Array(IMAGE_VALUES), 1), one, sampleRandom(1, 0))).toEqual(image);
  });
});

interface AttackJson {
  readonly result: { readonly success: readonly boolean[]; readonly l2: readonly number[] };
}

describe.skipIf(goldenMissing)(goldenTitle('fab, sparsefool and autoattack golden'), () => {
  const SAMPLES = 32;
  let classifier: CompiledClassifier;
  let samples: Samples;
  beforeAll(async () => {
    classifier = new CompiledClassifier(smallConfig(QUICK_ENGINE), await engineOf(QUICK_ENGINE)).use(goldenParameters());
    const { image, labels } = goldenBatch(0, SAMPLES);
    samples = { count: SAMPLES, images: image.data as Float32Array, labels };
  });
  const rowOf = (images: Float32Array, row: number) => images.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES);
  const distances = (found: Float32Array, norm: Parameters<typeof normOf>[0]) =>
    Array.from({ length: SAMPLES }, (_, row) => normOf(norm, minus(rowOf(found, row), rowOf(samples.images, row))));
  const isBroken = async (images: Float32Array): Promise<boolean[]> => {
    const logits = await classifier.logits({ count: SAMPLES, images });
    return Array.from(samples.labels, (label, row) => logitMargin(logits.subarray(row * 10, row * 10 + 10), label) <= 0);
  };

  test('fab: is as near as torchattacks', async () => {
    const { result } = readGolden('adv_std_fab_l2').json as unknown as AttackJson;
    const found = await fab({ norm: 'l2', steps: 10 })(classifier, samples, sampleRandom(1, 0));
    for (const [row, distance] of distances(found, 'l2').entries()) {
      // torchattacks returns the clean image where the nearest one is farther than its eps.
      const expected = result.success[row] === true ? (result.l2[row] as number) : distance;
      if (result.success[row] === false) expect.soft(distance, `image ${row}`).toBeGreaterThan(1);
      expect.soft(Math.abs(distance - expected), `image ${row}`).toBeLessThan(0.001 * expected + 1e-5);
    }
  });

  test('fab: finds nearer images with targets, and with more steps', async () => {
    const mean = async (attack: Attack) =>
      distances(await attack(classifier, samples, sampleRandom(1, 0)), 'l2').reduce((sum, distance) => sum + distance / SAMPLES, 0);
    const short = await mean(fab({ norm: 'l2', steps: 10 }));
    expect(await mean(fab({ norm: 'l2', steps: 30 }))).toBeLessThan(short);
    expect(await mean(fabTargeted({ norm: 'l2', steps: 10 }))).toBeLessThan(short);
  });

  test('sparsefool: gives the images of torchattacks in its mode', async () => {
    const found = await sparseFool({ steps: 10, compatibility: 'torchattacks' })(classifier, samples, sampleRandom(1, 0));
    const expected = toChannelsLast(readGolden('adv_std_sparsefool').tensor('adv').data, [SAMPLES, 3, 32, 32]) as Float32Array;
    for (let row = 0; row < SAMPLES; row++)
      expect.soft(normOf('linf', minus(rowOf(found, row), rowOf(expected, row))), `image ${row}`).toBeLessThan(1e-4);
  });

  test('sparsefool: changes few pixels of every image, also of those that torchattacks changes all of', async () => {
    const found = await sparseFool()(classifier, samples, sampleRandom(1, 0));
    expect(await isBroken(found)).toEqual(Array.from({ length: SAMPLES }, () => true));
    expect(Math.max(...distances(found, 'l0'))).toBeLessThan(256);
  });

  test('autoattack: takes what the first attack finds, and gives full budgets to what withstands', async () => {
    const engine = await engineOf(QUICK_ENGINE);
    const small = new CompiledClassifier(smallConfig(QUICK_ENGINE, { evaluation: { attackBatchSize: 2 } }), engine).use(goldenParameters());
    // FAB finds the first one 0.0214 away, the second one farther than the others.
    const rows = [3, 20];
    const few: Samples = {
      count: 2,
      images: Float32Array.from(rows.flatMap((row) => [...rowOf(samples.images, row)])),
      labels: Int32Array.from(rows, (row) => samples.labels[row] as number),
    };
    const eps = 4 / 255;
    const gradients: Record<string, number> = {};
    let looks = 0;
    const counting: Classifier = {
      classes: small.classes,
      batchSize: small.batchSize,
      logits: (asked) => {
        looks += 1;
        return small.logits(asked);
      },
      gradients: (loss, asked) => {
        gradients[loss] = (gradients[loss] ?? 0) + 1;
        return small.gradients(loss, asked);
      },
      logitGradients: (asked) => small.logitGradients(asked),
    };
    const found = await autoAttack({ norm: 'linf', eps })(counting, few, sampleRandom(1, 0));
    const first = await apgd({ norm: 'linf', eps })(small, few, sampleRandom(1, 0));
    expect(normOf('linf', minus(rowOf(first, 0), rowOf(few.images, 0)))).toBeGreaterThan(0);
    expect(rowOf(found, 0)).toEqual(rowOf(first, 0));
    expect(rowOf(found, 1)).toEqual(rowOf(few.images, 1));
    expect(gradients).toMatchObject({ 'cross-entropy': 101, 'dlr-targeted': 909 });
    expect(gradients['margin-targeted']).toBeGreaterThanOrEqual(909);
    expect(looks).toBeGreaterThan(5000);
  });

  test('results of a sample do not depend on the samples beside it', async () => {
    const attacks: Attack[] = [
      fab({ norm: 'linf', steps: 5, restarts: 2 }),
      fabTargeted({ norm: 'l2', steps: 2, restarts: 2 }),
      sparseFool({ steps: 3 }),
    ];
    await expectIndependence(classifier, samples, attacks);
  });
});
