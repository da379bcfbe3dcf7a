import { describe, expect, test } from 'vitest';
import {
  apgd,
  apgdTargeted,
  type Attack,
  Ball,
  createAttack,
  diFgsm,
  gaussianBlur,
  gaussianKernel,
  hopSkipJump,
  IMAGE_VALUES,
  imageOf,
  isMisclassified,
  noise,
  onePixel,
  projectedGradient,
  ResizePad,
  sampleRandom,
  type Samples,
  squareL2,
  tiFgsm,
  uniformField,
} from '../../../src/attacks/index.ts';
import { parseAttackSpec } from '../../../src/config/index.ts';
import { Random } from '../../../src/core/index.ts';
import { linearClassifier } from '../../support/linear-classifier.ts';

const random = (purpose: number) => new Random('evaluation', 11, purpose);

/** One channel has heavier weights than the others; all pixels are grey, so that the box is far away. */
const weights = Float32Array.from({ length: IMAGE_VALUES }, (_, i) => (i % 2 === 0 ? 1 : -1) * (i % 3 === 0 ? 0.002 : 0.001));
const images = new Float32Array(2 * IMAGE_VALUES).fill(0.5);
const samples: Samples = { count: 2, images, labels: Int32Array.of(0, 0) };
const atCentre = weights.reduce((sum, weight) => sum + weight * 0.5, 0);
const withMargin = (margin: number) => linearClassifier(weights, margin - atCentre);

async function broken(attack: Attack, margin: number): Promise<boolean[]> {
  const subject = withMargin(margin);
  const attacked = await attack(subject, samples, sampleRandom(3, 0));
  const logits = await subject.logits({ count: 2, images: attacked });
  return [0, 1].map((row) => isMisclassified(logits.subarray(2 * row, 2 * row + 2), 0));
}

const changeOf = (attacked: Float32Array, row = 0): Float32Array => imageOf({ images: attacked }, row).map((value) => value - 0.5);
const sumOf = (values: Float32Array): number => values.reduce((sum, value) => sum + Math.abs(value), 0);

describe('l1 ball', () => {
  /** The nearest point by its optimality conditions: the threshold by 200 bisections in float64, with no sorting. */
  function reference(image: Float32Array, clean: Float32Array, eps: number): number[] {
    const at = (threshold: number) =>
      Array.from(image, (value, i) => {
        const centre = clean[i] as number;
        const shrunk = Math.sign(value - centre) * Math.max(Math.abs(value - centre) - threshold, 0);
        return Math.min(Math.max(shrunk, -centre), 1 - centre);
      });
    const sum = (values: number[]) => values.reduce((total, value) => total + Math.abs(value), 0);
    let [low, high] = [0, 10];
    if (sum(at(0)) <= eps) high = 0;
    for (let i = 0; i < 200; i++) {
      const middle = (low + high) / 2;
      if (sum(at(middle)) > eps) low = middle;
      else high = middle;
    }
    return at(high).map((change, i) => (clean[i] as number) + change);
  }

  test.each([
    ['far outside', 3, 0.7],
    ['at the box', 6, 2],
    ['hardly outside', 0.3, 1.5],
    ['inside', 0.05, 1.5],
    ['no radius', 1, 0],
  ])('project gives the nearest point of ball and box (%s)', (_, spread, eps) => {
    const stream = random(1);
    for (let trial = 0; trial < 20; trial++) {
      const clean = Float32Array.from({ length: 12 }, (__, i) => (i === 0 ? 0 : i === 1 ? 1 : stream.uniform()));
      const image = clean.map((value) => value + spread * (2 * stream.uniform() - 1));
      const expected = reference(image, clean, eps);
      const projected = image.slice();
      new Ball('l1', clean, eps).project(projected);
      for (const [i, value] of projected.entries()) expect(Math.abs(value - (expected[i] as number))).toBeLessThan(1e-6);
    }
  });

  test('ascend moves 1 % of the values, those with the largest gradients that are free to move', () => {
    const clean = new Float32Array(300).fill(0.5);
    clean[7] = 1;
    const gradient = Float32Array.from({ length: 300 }, (_, i) => (i % 2 === 0 ? 1 : -1) * (i === 8 || i === 100 || i === 201 ? 5 : 0.1));
    gradient[7] = 9;
    const next = new Float32Array(300);
    new Ball('l1', clean, 1).ascend(next, clean, gradient, 0.6);
    const moved = [...next].flatMap((value, i) => (value === clean[i] ? [] : [[i, value - (clean[i] as number)] as const]));
    expect(moved.map(([i]) => i)).toEqual([8, 100, 201]);
    for (const [index, change] of [0.2, 0.2, -0.2].entries()) expect(moved[index]?.[1]).toBeCloseTo(change, 6);
  });
});

describe('on a linear classifier', () => {
  test('pgd in l1 breaks what the largest weights reach, and nothing beyond it', async () => {
    // The best that a change of L1 size eps can do is eps times the largest weight.
    const attack = projectedGradient({ norm: 'l1', eps: 5, stepSize: 1.25, steps: 10, randomStart: true });
    expect(await broken(attack, 5 * 0.002 * 0.97)).toEqual([true, true]);
    expect(await broken(attack, 5 * 0.002 * 1.02)).toEqual([false, false]);
    const attacked = await attack(withMargin(1), samples, sampleRandom(3, 0));
    expect(sumOf(changeOf(attacked))).toBeLessThanOrEqual(5 + 1e-3);
  });

  test('pgd returns the image with the largest loss of all its starts where none is misclassified', async () => {
    // On one step the distance that is left depends on the start: more starts never give a smaller loss.
    const subject = withMargin(1);
    const marginAfter = async (restarts: number) => {
      const attack = projectedGradient({ norm: 'linf', eps: 0.1, stepSize: 0.01, steps: 1, randomStart: true, restarts });
      const logits = await subject.logits({ count: 2, images: await attack(subject, samples, sampleRandom(3, 0)) });
      return logits[0] as number;
    };
    const margins = [await marginAfter(1), await marginAfter(4), await marginAfter(8)];
    expect(margins[1] as number).toBeLessThanOrEqual(margins[0] as number);
    expect(margins[2] as number).toBeLessThan(margins[0] as number);
  });

  test('a sample leaves at the start that breaks it; later starts see the others only', async () => {
    const subject = withMargin(0.1);
    const rows: number[] = [];
    const counting = {
      ...subject,
      gradients: (...[loss, looks]: Parameters<typeof subject.gradients>) => {
        rows.push(looks.count);
        return subject.gradients(loss, looks);
      },
    };
    // Eps is too small for the first image, and the second is misclassified from the beginning.
    const mixed: Samples = { ...samples, labels: Int32Array.of(0, 1) };
    await projectedGradient({ norm: 'linf', eps: 1e-4, stepSize: 1e-4, steps: 1, randomStart: true, restarts: 3 })(
      counting,
      mixed,
      sampleRandom(3, 0),
    );
    expect(rows).toEqual([2, 1, 1, 1, 1, 1]);
  });

  test('square in l2 uses its whole radius and never more', async () => {
    const attacked = await squareL2({ eps: 0.8, queries: 60 })(withMargin(0.001), samples, sampleRandom(3, 0));
    const length = Math.hypot(...changeOf(attacked));
    expect(length).toBeCloseTo(0.8, 4);
    expect(await broken(squareL2({ eps: 0.8, queries: 60 }), 0.8 * Math.hypot(...weights) * 1.02)).toEqual([false, false]);
  });

  test.each([
    ['uniform', 'linf', 0.1],
    ['gaussian', 'linf', 0.1],
    ['uniform', 'l2', 2],
    ['gaussian', 'l2', 2],
  ] as const)('noise (%s, %s) lies in the ball with the size that it names', async (distribution, norm, eps) => {
    const change = changeOf(await noise({ norm, eps, distribution })(withMargin(1), samples, sampleRandom(3, 0)));
    const deviation = Math.hypot(...change) / Math.sqrt(IMAGE_VALUES);
    if (norm === 'l2') expect(Math.hypot(...change)).toBeCloseTo(eps, 4);
    else expect(change.every((value) => Math.abs(value) <= eps + 1e-6)).toBe(true);
    // Of a uniform value 1/sqrt(3); of a normal one of deviation 1/2 cut at 1, 0.4797.
    if (norm === 'linf') expect(deviation / eps).toBeCloseTo(distribution === 'uniform' ? 1 / Math.sqrt(3) : 0.4797, 1);
  });

  test('noise returns a misclassified point as soon as it draws one', async () => {
    const subject = withMargin(1e-3);
    const attacked = await noise({ norm: 'linf', eps: 0.1, draws: 40 })(subject, samples, sampleRandom(3, 0));
    const logits = await subject.logits({ count: 2, images: attacked });
    expect([logits[0] as number, logits[2] as number].every((logit) => logit <= 0)).toBe(true);
  });

  test('one-pixel changes no more pixels than it may, and breaks what they reach', async () => {
    // A pixel of grey has half of |w| in reach: 0.5 (0.002 + 0.001 + 0.001).
    const attack = onePixel({ pixels: 1, population: 40, generations: 30 });
    expect(await broken(attack, 0.002 * 0.8)).toEqual([true, true]);
    expect(await broken(attack, 0.002 * 1.01)).toEqual([false, false]);
    const attacked = await onePixel({ pixels: 3, population: 40, generations: 30 })(withMargin(0.003), samples, sampleRandom(3, 0));
    const change = changeOf(attacked);
    const changed = new Set([...change].flatMap((value, i) => (value === 0 ? [] : [Math.trunc(i / 3)])));
    expect(changed.size).toBeGreaterThan(0);
    expect(changed.size).toBeLessThanOrEqual(3);
  });

  test.each([
    ['l2', (values: Float32Array) => Math.hypot(...values)],
    ['linf', (values: Float32Array) => sumOf(values)],
  ] as const)('hop-skip-jump comes near the boundary distance in %s, from outside', async (norm, dual) => {
    // Uniform noise crosses it now and then, so that there is a start.
    const margin = 0.01;
    const exact = margin / dual(weights);
    const subject = withMargin(margin);
    const sizes: number[] = [];
    for (const queries of [150, 1200]) {
      const attacked = await hopSkipJump({ norm, queries })(subject, samples, sampleRandom(3, 0));
      const logits = await subject.logits({ count: 2, images: attacked });
      expect(logits[0] as number).toBeLessThanOrEqual(0);
      const change = changeOf(attacked);
      sizes.push(norm === 'l2' ? Math.hypot(...change) : change.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
    }
    const [few, many] = sizes as [number, number];
    expect(many).toBeGreaterThanOrEqual(exact * 0.999);
    expect(many).toBeLessThan(few);
  });

  test('hop-skip-jump sees decisions only: other logits with the same decisions change nothing', async () => {
    const subject = withMargin(0.2);
    const squashed = {
      ...subject,
      logits: async (looks: Parameters<typeof subject.logits>[0]) => (await subject.logits(looks)).map((value) => Math.sign(value) * 7),
    };
    const attack = hopSkipJump({ norm: 'l2', queries: 200 });
    expect(await attack(squashed, samples, sampleRandom(3, 0))).toEqual(await attack(subject, samples, sampleRandom(3, 0)));
  });

  test.each([
    ['di-fgsm', diFgsm({ eps: 0.05, probability: 0 })],
    ['ti-fgsm', tiFgsm({ eps: 0.05, kernel: 1 })],
  ] as const)('%s without its transformation is momentum FGSM: all values at the border', async (_, attack) => {
    const change = changeOf(await attack(withMargin(10), samples, sampleRandom(3, 0)));
    for (const [i, value] of change.entries()) expect(value).toBeCloseTo(-0.05 * Math.sign(weights[i] as number), 6);
  });
});

describe('transformations', () => {
  test('resize and pad: the transpose is that of the map', () => {
    const image = uniformField(random(2));
    const gradient = uniformField(random(3));
    for (const map of [new ResizePad(29, 3, 1), new ResizePad(31, 0, 1), new ResizePad(32, 0, 0), new ResizePad(7, 20, 4)]) {
      const inner = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
      expect(inner(map.apply(image), gradient)).toBeCloseTo(inner(image, map.transpose(gradient)), 3);
    }
  });

  test('resize and pad: keeps constants, pads with zeros, and at full size changes nothing', () => {
    const seen = new ResizePad(30, 2, 1).apply(new Float32Array(IMAGE_VALUES).fill(0.7));
    const at = (row: number, column: number) => seen[(row * 32 + column) * 3] as number;
    expect([at(1, 5), at(5, 0), at(5, 31)]).toEqual([0, 0, 0]);
    for (const [row, column] of [
      [2, 1],
      [31, 30],
      [15, 9],
    ] as const)
      expect(at(row, column)).toBeCloseTo(0.7, 6);
    const image = uniformField(random(4));
    expect(new ResizePad(32, 0, 0).apply(image)).toEqual(image);
  });

  test("gaussian kernel: sums to 1, has the paper's width, and one weight changes nothing", () => {
    const kernel = gaussianKernel(5);
    expect(kernel.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
    // sigma^2 = 4/3: the ratio of neighbours of the centre is exp(-3/8).
    expect((kernel[1] as number) / (kernel[2] as number)).toBeCloseTo(Math.exp(-3 / 8), 12);
    const image = uniformField(random(5));
    expect(gaussianBlur(image, gaussianKernel(1))).toEqual(image);
    const point = new Float32Array(IMAGE_VALUES);
    point[(10 * 32 + 20) * 3 + 1] = 1;
    const blurred = gaussianBlur(point, kernel);
    expect(blurred[(11 * 32 + 18) * 3 + 1]).toBeCloseTo((kernel[3] as number) * (kernel[0] as number), 6);
    expect(blurred[(11 * 32 + 18) * 3]).toBe(0);
  });
});

describe('settings and refusals', () => {
  test.each(['dlr', 'dlr-targeted'])('a loss that needs more classes refuses two (%s)', async (loss) => {
    const attack = loss === 'dlr' ? apgd({ norm: 'linf', eps: 0.1, steps: 3, loss }) : apgdTargeted({ norm: 'linf', eps: 0.1, steps: 3 });
    await expect(attack(withMargin(1), samples, sampleRandom(3, 0))).rejects.toMatchObject({ code: 'USAGE' });
  });

  test.each(['mse', 'margin'] as const)('apgd and pgd climb the loss that is named (%s)', async (loss) => {
    const subject = withMargin(1);
    const seen = new Set<string>();
    const listening = {
      ...subject,
      gradients: (...[asked, looks]: Parameters<typeof subject.gradients>) => {
        seen.add(asked);
        return subject.gradients(asked, looks);
      },
    };
    for (const name of ['apgd', 'pgd'])
      await createAttack(parseAttackSpec(`${name}:steps=2:loss=${loss}`), 0.01)(listening, samples, sampleRandom(3, 0));
    expect([...seen]).toEqual([loss]);
  });

  test('one-pixel takes a whole number of pixels as its radius', () => {
    expect(() => createAttack(parseAttackSpec('one-pixel'), 8 / 255)).toThrow(/whole number of pixels/);
    expect(() => createAttack(parseAttackSpec('one-pixel'), 3)).not.toThrow();
  });
});
