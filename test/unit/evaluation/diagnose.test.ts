import { beforeAll, describe, expect, test } from 'vitest';
import { type Classifier, IMAGE_VALUES, type Looks, type Samples, sampleRandom } from '../../../src/attacks/index.ts';
import { Random } from '../../../src/core/index.ts';
import { CompiledClassifier, diagnose } from '../../../src/evaluation/index.ts';
import { EvaluationView } from '../../../src/reports/evaluation/evaluation-view.ts';
import { findRedFlags } from '../../../src/reports/red-flags/find-red-flags.ts';
import { smallConfig } from '../../support/configs.ts';
import { engineOf, QUICK_ENGINE } from '../../support/engines.ts';
import { madeUpEvaluation } from '../../support/evaluation-records.ts';
import { goldenBatch, goldenMissing, goldenParameters, goldenTitle } from '../../support/golden.ts';
import { linearClassifier } from '../../support/linear-classifier.ts';

const uniform = (key: number, count: number): Float32Array => {
  const random = new Random('evaluation', key);
  return Float32Array.from({ length: count }, () => random.uniform());
};
const rowOf = (values: Float32Array, row: number) => values.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES);
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe('diagnose on a linear classifier', () => {
  const weights = uniform(1, IMAGE_VALUES).map((value) => (value < 0.3 ? -0.01 * value : 0.01 * value));
  const samples: Samples = { count: 5, images: uniform(2, 5 * IMAGE_VALUES), labels: Int32Array.of(0, 1, 0, 1, 0) };
  const bias = -5;
  const classifier = linearClassifier(weights, bias);
  const size = Math.sqrt(dot(weights, weights));
  const rows = Array.from({ length: samples.count }, (_, row) => {
    const image = rowOf(samples.images, row);
    const sign = samples.labels[row] === 0 ? 1 : -1;
    return { margin: sign * (dot(weights, image) + bias), cosine: (-sign * dot(weights, image)) / (size * Math.sqrt(dot(image, image))) };
  });

  test('gradients are the same everywhere, and their prediction is exact', async () => {
    const { localLinearity, gradientNorm, majoritySign, nondeterminism } = await diagnose(classifier, samples, {
      random: sampleRandom(1, 0),
    });
    expect(localLinearity.gradientCosine).toBeCloseTo(1, 9);
    expect(localLinearity.error).toBeLessThan(1e-3);
    expect(gradientNorm).toEqual({ median: expect.closeTo(size, 6), zeroShare: 0, zeroValues: 0 });
    expect(majoritySign).toBeCloseTo(weights.filter((value) => value > 0).length / IMAGE_VALUES, 9);
    expect(nondeterminism).toBe(0);
  });

  test('the loss along each direction is that of the margin moved by its part of the gradient', async () => {
    const { directions } = await diagnose(classifier, samples, { random: sampleRandom(1, 0), distances: [0, 0.5, 3] });
    const expected = (slope: (cosine: number) => number) =>
      [0, 0.5, 3].map(
        (distance) => sum(rows.map(({ margin, cosine }) => Math.log1p(Math.exp(-margin + distance * size * slope(cosine))))) / 5,
      );
    const lossOf = (name: string) => directions.find((one) => one.name === name)?.loss;
    const close = (values: number[]) => values.map((value): unknown => expect.closeTo(value, 4));
    expect(lossOf('gradient')).toEqual(close(expected(() => 1)));
    expect(lossOf('radial')).toEqual(close(expected((cosine) => Math.abs(cosine))));
    expect(lossOf('tangential')).toEqual(close(expected((cosine) => Math.sqrt(1 - cosine ** 2))));
  });

  test('alignment is that of the image with minus the gradient of the margin', async () => {
    const { alignment } = await diagnose(classifier, samples, { random: sampleRandom(1, 0) });
    const mean = sum(rows.map(({ cosine }) => cosine)) / 5;
    expect(alignment).toEqual({ crossEntropy: expect.closeTo(mean, 6), mse: expect.closeTo(mean, 6), targets: [expect.closeTo(mean, 6)] });
  });

  test('does not depend on which samples share a batch', async () => {
    const at = (batchSize: number) => diagnose({ ...classifier, batchSize }, samples, { random: sampleRandom(7, 3) });
    expect(await at(2)).toEqual(await at(5));
  });

  test('outputs that are probabilities are found, and runs that differ', async () => {
    const softmax: Classifier = { ...classifier, logits: ({ count }) => Promise.resolve(new Float32Array(2 * count).fill(0.5)) };
    expect((await diagnose(softmax, samples, { random: sampleRandom(1, 0) })).probabilityOutputs).toBe(1);
    let calls = 0;
    const moody: Classifier = {
      ...classifier,
      logits: async (looks) => {
        const shift = 0.25 * calls++;
        return (await classifier.logits(looks)).map((value) => value + shift);
      },
    };
    expect((await diagnose(moody, { ...samples, count: 4 }, { random: sampleRandom(1, 0) })).nondeterminism).toBeCloseTo(0.25, 5);
  });

  test('refuses no samples', async () => {
    await expect(diagnose(classifier, { ...samples, count: 0 }, { random: sampleRandom(1, 0) })).rejects.toThrow(RangeError);
  });
});

describe.skipIf(goldenMissing !== undefined)(goldenTitle('diagnose on the reference network'), () => {
  let honest: Classifier;
  let samples: Samples;
  beforeAll(async () => {
    const config = smallConfig(QUICK_ENGINE, { evaluation: { batchSize: 8 } });
    honest = new CompiledClassifier(config, await engineOf(QUICK_ENGINE)).use(goldenParameters());
    const { image, labels } = goldenBatch(0, 16);
    samples = { count: 16, images: image.data as Float32Array, labels };
  });

  const flagsOf = async (classifier: Classifier): Promise<string[]> => {
    const diagnostics = [{ model: 0, ...(await diagnose(classifier, samples, { random: sampleRandom(1, 0) })) }];
    return findRedFlags(new EvaluationView(madeUpEvaluation({ results: [], diagnostics }))).map(({ rule }) => rule.id);
  };

  test('it raises no flag', async () => {
    expect(await flagsOf(honest)).toEqual([]);
  });

  test('logits times 1000 are out of scale, and their softmax has no gradient left', async () => {
    expect(await flagsOf(scaled(honest, 1000))).toEqual(expect.arrayContaining(['zero-gradients', 'out-of-scale']));
  });

  test('rounded images have no gradients, though the loss still changes', async () => {
    const flags = await flagsOf(quantised(honest, 8));
    expect(flags).toEqual(expect.arrayContaining(['zero-gradients', 'low-linearity', 'other-directions-steeper']));
  });
});

/** The same decisions with logits times a factor; the cross-entropy's gradient in float32, as a network would compute it. */
function scaled(base: Classifier, factor: number): Classifier {
  const times = (values: Float32Array): Float32Array => values.map((value) => value * factor);
  return {
    ...base,
    classes: base.classes,
    batchSize: base.batchSize,
    logits: async (looks) => times(await base.logits(looks)),
    logitGradients: async (looks) => {
      const { logits, jacobian } = await base.logitGradients(looks);
      return { logits: times(logits), jacobian: times(jacobian) };
    },
    gradients: async (_, { count, images, labels }: Looks) => {
      const { classes } = base;
      const own = await base.logitGradients({ count, images });
      const logits = times(own.logits);
      const loss = new Float32Array(count);
      const gradient = new Float32Array(count * IMAGE_VALUES);
      for (let row = 0; row < count; row++) {
        const z = logits.subarray(row * classes, (row + 1) * classes);
        const label = labels[row] as number;
        const largest = Math.max(...z);
        const exponentials = z.map((value) => Math.exp(value - largest));
        const total = exponentials.reduce((a, b) => a + b, 0);
        loss[row] = largest + Math.log(total) - (z[label] as number);
        for (let k = 0; k < classes; k++) {
          const weight = factor * (Math.fround((exponentials[k] as number) / total) - (k === label ? 1 : 0));
          const of = rowOf(own.jacobian, row * classes + k);
          for (let i = 0; i < IMAGE_VALUES; i++)
            gradient[row * IMAGE_VALUES + i] = (gradient[row * IMAGE_VALUES + i] as number) + weight * (of[i] as number);
        }
      }
      return { logits, loss, gradient };
    },
  };
}

/** Sees images in so many steps only; the gradient of rounding is zero. */
function quantised(base: Classifier, steps: number): Classifier {
  const round = <T extends Pick<Looks, 'count' | 'images'>>(looks: T): T => ({
    ...looks,
    images: looks.images.map((value) => Math.round(value * steps) / steps),
  });
  return {
    classes: base.classes,
    batchSize: base.batchSize,
    logits: (looks) => base.logits(round(looks)),
    gradients: async (loss, looks) => {
      const found = await base.gradients(loss, round(looks));
      return { ...found, gradient: found.gradient.map(() => 0) };
    },
    logitGradients: async (looks) => {
      const found = await base.logitGradients(round(looks));
      return { ...found, jacobian: found.jacobian.map(() => 0) };
    },
  };
}
