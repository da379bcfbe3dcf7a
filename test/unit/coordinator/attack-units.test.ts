import { describe, expect, it } from 'vitest';
import { parseAttackSpec } from '../../../src/config/index.ts';
import { attackPassesOf, cleanPasses, cutIntoUnits } from '../../../src/coordinator/attack-units.ts';

const attacks = ['square', 'fgsm', 'pgd:norm=l2', 'pgd'].map(parseAttackSpec);
const radii = { linf: [0, 2 / 255, 8 / 255], l2: [0.5] };
const images = Array.from({ length: 500 }, (_, i) => 3 * i + 1);

describe('attack passes', () => {
  const passes = attackPassesOf({ networks: 2, attacks, radii, transfer: true });

  it('are one per network, attack and radius of its norm, without the radius 0', () => {
    expect(passes).toHaveLength(2 * (2 + 2 + 1 + 2));
    expect(passes.filter(({ attack }) => attack === 2).map(({ eps }) => eps)).toEqual([0.5, 0.5]);
    expect(passes.every(({ eps }) => eps !== 0)).toBe(true);
  });

  it('come in the order of their cost', () => {
    const costs = passes.map(({ passesPerImage }) => passesPerImage);
    expect(costs).toEqual(costs.toSorted((a, b) => a - b));
    expect(passes.at(0)?.attack).toBe(1);
    expect(passes.at(-1)?.attack).toBe(0);
  });

  it('are tried on the other networks where that is asked for', () => {
    expect(passes.map(({ network, targets }) => [network, ...targets].join()).every((text) => text === '0,1' || text === '1,0')).toBe(true);
    expect(attackPassesOf({ networks: 2, attacks, radii, transfer: false }).every(({ targets }) => targets.length === 0)).toBe(true);
  });
});

describe('units', () => {
  it.each([1, 10, 64, 499, 1000])('hold each image once, in order, in whole batches of %i', (batchSize) => {
    const passes = [...cleanPasses(1), ...attackPassesOf({ networks: 1, attacks, radii, transfer: false })];
    for (const [pass, isLast] of passes.flatMap((each) => [[each, false] as const, [each, true] as const])) {
      const units = cutIntoUnits(pass, { attacks, images, batchSize, isLast });
      expect(units.flatMap((unit) => unit.images)).toEqual(images);
      expect(units.slice(0, -1).every((unit) => unit.images.length % batchSize === 0)).toBe(true);
      for (const unit of units) expect(images[unit.first]).toBe(unit.images[0]);
    }
  });

  it('are small where the attack is long, and enough for several workers where it is short', () => {
    const sizes = (text: string, isLast = false) => {
      const spec = parseAttackSpec(text);
      const passes = attackPassesOf({ networks: 1, attacks: [spec], radii: { linf: [0.1] }, transfer: false });
      return passes.flatMap((pass) =>
        cutIntoUnits(pass, { attacks: [spec], images, batchSize: 10, isLast }).map((unit) => unit.images.length),
      );
    };
    expect(Math.max(...sizes('autoattack'))).toBe(40);
    expect(Math.max(...sizes('square:queries=100000'))).toBe(20);
    expect(Math.max(...sizes('apgd'))).toBe(60);
    expect(sizes('fgsm')).toHaveLength(9);
    // Of the last pass: whoever takes the last unit keeps the others waiting.
    expect(sizes('fgsm', true)).toEqual([60, 60, 60, 60, 60, 50, 30, 30, 20, 20, 20, 20, 10]);
  });

  it('have keys that say what is computed', () => {
    const all = attackPassesOf({ networks: 2, attacks, radii, transfer: false });
    const keys = (list: typeof all, set = images) =>
      list.flatMap((pass) => cutIntoUnits(pass, { attacks, images: set, batchSize: 10, isLast: false }).map(({ key }) => key));
    const own = new Set(keys(all));
    expect(own.size).toBe(keys(all).length);
    expect(keys(all)).toEqual([...own]);
    const withTransfer = attackPassesOf({ networks: 2, attacks, radii, transfer: true });
    expect(keys(withTransfer).filter((key) => own.has(key))).toEqual([]);
    expect(keys(all, images.slice(1)).filter((key) => own.has(key))).toEqual([]);
  });
});
