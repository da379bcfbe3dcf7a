import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fillTestBatch, fillTrainBatch } from '../../../src/data/batch.ts';
import type { ImageSet } from '../../../src/data/dataset.ts';
import { Random } from '../../../src/core/index.ts';

const COUNT = 3;

function noisySet(): ImageSet {
  const random = new Random('synthetic', 42);
  const pixels = Uint8Array.from({ length: COUNT * 3072 }, () => 1 + random.integer(255));
  return { count: COUNT, labels: Uint8Array.of(7, 2, 9), pixels };
}

/** Crop of the padded image, written from the definition: pixel (row, column, channel), or 0 in the padding. */
function expectedCrop(set: ImageSet, sample: number, top: number, left: number, pad: number, flip: boolean): Float32Array {
  const side = 32 + 2 * pad;
  const padded = new Float32Array(side * side * 3);
  for (let row = 0; row < 32; row++) {
    for (let column = 0; column < 32; column++) {
      for (let channel = 0; channel < 3; channel++) {
        padded[((row + pad) * side + column + pad) * 3 + channel] =
          (set.pixels[sample * 3072 + channel * 1024 + row * 32 + column] as number) / 255;
      }
    }
  }
  const out = new Float32Array(3072);
  for (let row = 0; row < 32; row++) {
    for (let column = 0; column < 32; column++) {
      for (let channel = 0; channel < 3; channel++) {
        const target = flip ? 31 - column : column;
        out[(row * 32 + target) * 3 + channel] = padded[((row + top) * side + column + left) * 3 + channel] as number;
      }
    }
  }
  return out;
}

/** Tells which crop of a sample an image is: `top,left,mirrored`; undefined when it is none. */
function cropFinder(set: ImageSet, sample: number, pad: number): (image: Float32Array) => string | undefined {
  const key = (image: Float32Array): string =>
    createHash('md5')
      .update(new Uint8Array(image.buffer, image.byteOffset, image.byteLength))
      .digest('hex');
  const crops = new Map<string, string>();
  for (let top = 0; top <= 2 * pad; top++) {
    for (let left = 0; left <= 2 * pad; left++) {
      for (const flip of [false, true]) crops.set(key(expectedCrop(set, sample, top, left, pad, flip)), `${top},${left},${flip}`);
    }
  }
  return (image) => crops.get(key(image));
}

describe('fillTestBatch', () => {
  it('writes interleaved channels as the correctly rounded quotient by 255', () => {
    const pixels = new Uint8Array(2 * 3072);
    for (let value = 0; value < 256; value++) pixels[3072 + value] = value;
    pixels[3072 + 1024 + 33] = 17;
    pixels[3072 + 2048 + 33] = 200;
    const out = new Float32Array(3072);
    const labels = new Int32Array(1);
    fillTestBatch({ count: 2, labels: Uint8Array.of(1, 8), pixels }, 1, 1, out, labels);
    expect([...labels]).toEqual([8]);
    for (let value = 0; value < 256; value++) expect(out[value * 3]).toBe(Math.fround(value / 255));
    // Row 1, column 1 of the green and blue planes.
    expect([out[33 * 3 + 1], out[33 * 3 + 2], out[33 * 3 + 4]]).toEqual([Math.fround(17 / 255), Math.fround(200 / 255), 0]);
  });

  it('leaves the rest of a longer array alone', () => {
    const out = new Float32Array(2 * 3072).fill(-1);
    const labels = Int32Array.of(-1, -1);
    fillTestBatch(noisySet(), 2, 1, out, labels);
    expect(out.subarray(3072).every((value) => value === -1)).toBe(true);
    expect([...labels]).toEqual([9, -1]);
  });

  it('refuses when arrays are too short or images beyond the end', () => {
    expect(() => fillTestBatch(noisySet(), 2, 2, new Float32Array(2 * 3072), new Int32Array(2))).toThrowError(/0\.\.2/);
    expect(() => fillTestBatch(noisySet(), 0, 2, new Float32Array(2 * 3072 - 1), new Int32Array(2))).toThrowError(/too short/);
  });
});

describe('fillTrainBatch', () => {
  const fill = (epochs: number, options: { seed?: number; padCrop: number; flip: boolean }, sample = 1): Float32Array[] => {
    const picks = Array.from({ length: epochs }, (_, epoch) => ({ epoch, sample }));
    const out = new Float32Array(epochs * 3072).fill(-1);
    const labels = new Int32Array(epochs);
    fillTrainBatch(noisySet(), picks, { seed: options.seed ?? 5, ...options }, out, labels);
    expect(labels.every((label) => label === noisySet().labels[sample])).toBe(true);
    return picks.map((_, i) => out.slice(i * 3072, (i + 1) * 3072));
  };

  it('writes the image itself when augmentation is off', () => {
    const [image] = fill(1, { padCrop: 0, flip: false }, 2);
    expect(image).toEqual(expectedCrop(noisySet(), 2, 0, 0, 0, false));
  });

  it('gives every crop and both mirrorings about equally often', () => {
    const seen = fill(3000, { padCrop: 1, flip: true }).map(cropFinder(noisySet(), 1, 1));
    const counts = new Map<string | undefined, number>();
    for (const crop of seen) counts.set(crop, (counts.get(crop) ?? 0) + 1);
    expect(counts.has(undefined)).toBe(false);
    expect(counts.size).toBe(18);
    // Chi-squared with 17 degrees of freedom; 40.8 is its 99.9 % point.
    const chiSquared = [...counts.values()].reduce((sum, n) => sum + (n - 3000 / 18) ** 2 / (3000 / 18), 0);
    expect(chiSquared).toBeLessThan(40.8);
  });

  it('pads by the width asked for', () => {
    const seen = new Set(fill(400, { padCrop: 4, flip: false }).map(cropFinder(noisySet(), 1, 4)));
    expect(seen.has(undefined)).toBe(false);
    const tops = new Set([...seen].map((crop) => (crop as string).split(',')[0]));
    expect(tops.size).toBe(9);
    expect([...seen].every((crop) => crop?.endsWith('false'))).toBe(true);
  });

  it('mirrors the same samples whatever the padding', () => {
    const flips = (padCrop: number): (string | undefined)[] =>
      fill(40, { padCrop, flip: true })
        .map(cropFinder(noisySet(), 1, padCrop))
        .map((crop) => crop?.split(',')[2]);
    expect(flips(0)).toEqual(flips(2));
    expect(new Set(flips(0)).size).toBe(2);
  });

  it('depends on seed, epoch and sample only, not on the place in the batch', () => {
    const set = noisySet();
    const picks = [
      { epoch: 0, sample: 0 },
      { epoch: 3, sample: 1 },
      { epoch: 3, sample: 2 },
      { epoch: 4, sample: 1 },
    ];
    const options = { seed: 11, padCrop: 4, flip: true };
    const together = new Float32Array(4 * 3072);
    fillTrainBatch(set, picks, options, together, new Int32Array(4));
    picks.forEach((pick, i) => {
      const alone = new Float32Array(3072);
      fillTrainBatch(set, [pick], options, alone, new Int32Array(1));
      expect(alone).toEqual(together.slice(i * 3072, (i + 1) * 3072));
    });
    const otherSeed = new Float32Array(4 * 3072);
    fillTrainBatch(set, picks, { ...options, seed: 12 }, otherSeed, new Int32Array(4));
    expect(otherSeed).not.toEqual(together);
  });

  it('refuses a sample that the set has not', () => {
    expect(() =>
      fillTrainBatch(noisySet(), [{ epoch: 0, sample: 3 }], { seed: 1, padCrop: 4, flip: true }, new Float32Array(3072), new Int32Array(1)),
    ).toThrowError(/0\.\.2/);
  });
});
