import { describe, expect, it } from 'vitest';
import { IMAGE_BYTES, type ImageSet, stratifiedIndices, syntheticDataset } from '../../../src/data/index.ts';

const setOf = (labels: number[]): ImageSet => ({
  count: labels.length,
  labels: Uint8Array.from(labels),
  pixels: new Uint8Array(labels.length * IMAGE_BYTES),
});
/** Class of image i: 0 three times as often as the others. */
const skewed = setOf(Array.from({ length: 120 }, (_, i) => (i % 12 > 8 ? 0 : (i % 12) + 1 > 9 ? 0 : (i % 12) + 1)));

describe('stratifiedIndices', () => {
  it('takes the first images of each class', () => {
    const indices = stratifiedIndices(skewed, 50);
    expect(new Set(indices).size).toBe(50);
    for (let label = 0; label < 10; label++) {
      const own = indices.filter((index) => skewed.labels[index] === label);
      const all = [...skewed.labels.keys()].filter((index) => skewed.labels[index] === label);
      expect(own).toEqual(all.slice(0, 5));
    }
  });

  it('makes a smaller choice the beginning of a larger one', () => {
    expect(stratifiedIndices(skewed, 100).slice(0, 37)).toEqual(stratifiedIndices(skewed, 37));
  });

  it('says how many there are at most', () => {
    const most = 10 * Math.min(...Array.from({ length: 10 }, (_, label) => skewed.labels.filter((own) => own === label).length));
    expect(stratifiedIndices(skewed, most)).toHaveLength(most);
    expect(() => stratifiedIndices(skewed, most + 10)).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(`--samples ${most} or less`) as unknown }),
    );
    expect(stratifiedIndices(syntheticDataset({ trainCount: 10, testCount: 40 }).test, 40)).toEqual([...Array(40).keys()]);
  });
});
