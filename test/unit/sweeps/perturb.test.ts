import { describe, expect, it } from 'vitest';
import { resolveSweep } from '../../../src/config/index.ts';
import { Random } from '../../../src/core/index.ts';
import { perturbPoint } from '../../../src/sweeps/perturb.ts';
import { SearchSpace } from '../../../src/sweeps/index.ts';

const spaceOf = (space: object) => new SearchSpace(resolveSweep({ space, objectives: [{ name: 'value' }], function: 'branin' }));
const random = (n: number) => new Random('sweep', 1, n);

describe('perturbed point', () => {
  it('has 0.8 or 1.2 times the values, inside the range', () => {
    const space = spaceOf({
      a: { type: 'float', low: 0, high: 10 },
      b: { type: 'log-float', low: 0.01, high: 100 },
      'strategy.gfa.weights': { type: 'layer-weights', layers: ['input', 'conv1'], low: 0.1, high: 1 },
      edge: { type: 'float', low: 0, high: 10 },
    });
    const point = [0.4, 0.5, 0.5, 0.3, 0.99];
    const before = space.decode(point);
    if ('refused' in before) throw new Error(before.refused);
    const seen = new Set<string>();
    for (let n = 0; n < 50; n++) {
      const after = space.decode(perturbPoint(space.coordinates, point, random(n), 0));
      if ('refused' in after) throw new Error(after.refused);
      const ratios = Object.entries(after.parameters).map(([key, value]) => Number(value) / Number(before.parameters[key]));
      for (const ratio of ratios.slice(0, 4)) expect(Math.min(Math.abs(ratio - 0.8), Math.abs(ratio - 1.2))).toBeLessThan(1e-4);
      expect(Number(after.parameters.edge)).toBeLessThanOrEqual(10);
      seen.add(ratios.map((ratio) => ratio.toFixed(2)).join());
    }
    expect(seen.size).toBeGreaterThan(10);
  });

  it('moves by a tenth of the range where a coordinate has no value of its own, or values below 0', () => {
    const space = spaceOf({
      below: { type: 'float', low: -1, high: 1 },
      'strategy.gfa.weights': { type: 'layer-weights', layers: ['input', 'conv1', 'conv2'], form: 'simplex' },
    });
    for (let n = 0; n < 20; n++)
      for (const [i, u] of perturbPoint(space.coordinates, [0.5, 0.5, 0.95], random(n), 0).entries())
        expect(i === 2 ? [0.85, 1] : [0.4, 0.6]).toContainEqual(expect.closeTo(u, 9));
  });

  it('draws as many coordinates anew as it is told, and keeps choices otherwise', () => {
    const values = Array.from({ length: 1000 }, (_, i) => i);
    const space = spaceOf({ c: { type: 'category', values } });
    const changed = (resample: number) =>
      Array.from({ length: 400 }, (_, n) => perturbPoint(space.coordinates, [7], random(n), resample)).filter(([c]) => c !== 7).length;
    expect(changed(0)).toBe(0);
    expect(changed(1)).toBeGreaterThan(390);
    expect(changed(0.25)).toBeGreaterThan(70);
    expect(changed(0.25)).toBeLessThan(130);
  });
});
