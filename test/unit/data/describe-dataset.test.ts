import { describe, expect, it } from 'vitest';
import { createDataset, type ImageSet } from '../../../src/data/dataset.ts';
import { describeDataset, verifyDataset } from '../../../src/data/describe-dataset.ts';
import { fabricatedFiles, SMALL_LAYOUT, temporaryFolder, writeFolder } from './fabricated.ts';

/** R is 10 in one image and 60 in the other two, G 200 throughout, B 0 and 255 in alternate pixels. */
function threeImages(): ImageSet {
  const pixels = new Uint8Array(3 * 3072);
  for (let i = 0; i < 3; i++) {
    pixels.fill(i === 0 ? 10 : 60, i * 3072, i * 3072 + 1024);
    pixels.fill(200, i * 3072 + 1024, i * 3072 + 2048);
    for (let p = 0; p < 1024; p += 2) pixels[i * 3072 + 2048 + p] = 255;
  }
  return { count: 3, labels: Uint8Array.of(4, 4, 9), pixels };
}

describe('describeDataset', () => {
  it('counts classes and gives mean and population standard deviation per channel', () => {
    const empty = { count: 0, labels: new Uint8Array(0), pixels: new Uint8Array(0) };
    const { train, classNames } = describeDataset(createDataset('three', threeImages(), empty));
    expect(train.perClass).toEqual([0, 0, 0, 0, 2, 0, 0, 0, 0, 1]);
    expect(classNames[3]).toBe('cat');
    // R: mean (10 + 60 + 60) / 3, variance 2/9 * 50^2. B: mean and deviation 127.5.
    const wanted = { mean: [130 / 3 / 255, 200 / 255, 0.5], std: [(Math.sqrt(2) / 3) * (50 / 255), 0, 0.5] };
    train.mean.forEach((value, i) => expect(value).toBeCloseTo(wanted.mean[i] as number, 12));
    train.std.forEach((value, i) => expect(value).toBeCloseTo(wanted.std[i] as number, 12));
  });
});

describe('verifyDataset', () => {
  it('passes the synthetic set', async () => {
    const { ok, checks } = await verifyDataset({ source: 'synthetic', env: {} });
    expect(ok).toBe(true);
    expect(checks.map((check) => [check.name, check.state])).toEqual([
      ['layout', 'passed'],
      ['class balance', 'passed'],
    ]);
  });

  it('fails a copy whose classes and pixels are not those of CIFAR-10, and says what is wrong', async () => {
    const path = await temporaryFolder();
    await writeFolder(path, fabricatedFiles());
    const { ok, checks } = await verifyDataset({ source: 'cifar10', path, layout: SMALL_LAYOUT, env: {}, cacheFolder: path });
    expect(ok).toBe(false);
    expect(checks.map((check) => check.state)).toEqual(['passed', 'failed', 'failed', 'unknown']);
    expect(checks[2]?.detail).toContain('0.4914');
  });
});
