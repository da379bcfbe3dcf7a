import { describe, expect, it } from 'vitest';
import { contentHashOf, type ImageSet } from '../../../src/data/dataset.ts';
import { describeDataset } from '../../../src/data/describe-dataset.ts';
import { SYNTHETIC_CLASS_NAMES, syntheticDataset } from '../../../src/data/synthetic.ts';
import { softmaxRegression } from './softmax-regression.ts';

describe('synthetic dataset', () => {
  const before = process.cpuUsage();
  const dataset = syntheticDataset();
  const used = process.cpuUsage(before);

  it('has the same bytes on every machine', () => {
    // Pinned: results of earlier runs on it must stay comparable.
    expect(dataset.contentHash).toBe('e4b34659a09777fa52998cc478f4895815557b4997aa26ae2f002eaeab7f9a23');
    expect(dataset.contentHash).toBe(contentHashOf(dataset.train, dataset.test));
  });

  it('is drawn fast', () => {
    // 0.5 to 0.8 s of processor time, which a busy machine stretches less than the clock's.
    expect((used.user + used.system) / 1000).toBeLessThan(3000);
  });

  it('is balanced, and its ten classes have names', () => {
    const { train, test } = describeDataset(dataset);
    expect(train.perClass).toEqual(Array.from({ length: 10 }, () => 500));
    expect(test.perClass).toEqual(Array.from({ length: 10 }, () => 100));
    expect(new Set(SYNTHETIC_CLASS_NAMES).size).toBe(10);
  });

  it('has other images for another seed, and the same first images for other counts', () => {
    const small = syntheticDataset({ trainCount: 30, testCount: 10 });
    expect(small.train.pixels).toEqual(dataset.train.pixels.slice(0, 30 * 3072));
    expect(syntheticDataset({ trainCount: 30, testCount: 10, seed: 2 }).contentHash).not.toBe(small.contentHash);
  });

  it('has no test image among its training images', () => {
    const key = (set: ImageSet, image: number): string =>
      Buffer.from(set.pixels.subarray(image * 3072, image * 3072 + 200)).toString('base64');
    const seen = new Set(Array.from({ length: dataset.train.count }, (_, i) => key(dataset.train, i)));
    expect(seen.size).toBe(dataset.train.count);
    expect(Array.from({ length: dataset.test.count }, (_, i) => key(dataset.test, i)).some((image) => seen.has(image))).toBe(false);
  });

  it('is beyond a linear model', () => {
    const { trainAccuracy, testAccuracy } = softmaxRegression(dataset.train, dataset.test, 2);
    // It does learn its training set; what it learns doesn't carry over.
    expect(trainAccuracy).toBeGreaterThan(0.2);
    expect(testAccuracy).toBeLessThan(0.6);
  }, 60_000);

  it('is judged by a linear model that solves a linear problem', () => {
    // Control: the class is the third of the image that is brighter, under the same noise.
    const control = (first: number, count: number): ImageSet => {
      const labels = Uint8Array.from({ length: count }, (_, i) => i % 3);
      const pixels = dataset.train.pixels.slice(first * 3072, (first + count) * 3072);
      for (let i = 0; i < count; i++) {
        for (let p = 0; p < 3072; p++) {
          if (Math.floor((p % 1024) / 342) === i % 3) pixels[i * 3072 + p] = Math.min(255, (pixels[i * 3072 + p] as number) + 60);
        }
      }
      return { count, labels, pixels };
    };
    expect(softmaxRegression(control(0, 1000), control(1000, 300), 2).testAccuracy).toBeGreaterThan(0.9);
  });
});
