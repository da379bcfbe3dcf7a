import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/index.ts';
import {
  logExpectedImprovement,
  massInside,
  normalQuantile,
  normalShare,
  truncatedNormal,
} from '../../../../src/sweeps/samplers/normal-distribution.ts';

// Expected values: scipy 1.17.1 (norm, truncnorm), mpmath with 40 digits for the improvement.
describe('normal distribution', () => {
  it.each([
    [-7.5, 3.1908916729108844e-14],
    [-4.2, 1.334574901590631e-5],
    [-1.3, 0.09680048458561036],
    [0.4, 0.6554217416103242],
    [2.7, 0.9965330261969594],
  ])('has its share below %d', (z, share) => {
    expect(normalShare(z)).toBeCloseTo(share, 14);
  });

  it('has its quantile and its mass inside the unit interval', () => {
    expect(normalQuantile(0.07)).toBeCloseTo(-1.4757910281791706, 3);
    expect(massInside(0.2, 0.3)).toBeCloseTo(0.7436770818854874, 14);
  });

  it('truncated has the mean and the deviation of scipy’s', () => {
    const random = new Random('sweep', 5);
    const draws = Array.from({ length: 40_000 }, () => truncatedNormal(0.2, 0.3, random));
    const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length;
    const deviation = Math.sqrt(draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / draws.length);
    expect(mean).toBeCloseTo(0.3242684601968099, 2);
    expect(deviation).toBeCloseTo(0.21238292493991978, 2);
  });
});

describe('expected improvement', () => {
  it.each([
    [0.3, 0.7, 1.1, -0.1694824988461379, 9],
    [1.3, 0.4, 0.2, -7.930280680485371, 9],
    // On either side of where the series takes over.
    [2, 0.41, 0, -16.98900346110513, 7],
    [2, 0.39, 0.05, -17.685909702519435, 2],
    [3, 0.25, 0, -79.29539490612724, 4],
  ])('of N(%d, %d) below %d has the logarithm %d', (mean, deviation, best, expected, digits) => {
    expect(logExpectedImprovement(mean, deviation, best)).toBeCloseTo(expected, digits);
  });
});
