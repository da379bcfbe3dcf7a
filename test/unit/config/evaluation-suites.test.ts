import { describe, expect, it } from 'vitest';
import {
  attackPasses,
  ATTACK_CATALOGUE,
  EVALUATION_SUITES,
  formatAttackSpec,
  parseAttackSpec,
  parseEpsList,
} from '../../../src/config/index.ts';

describe('evaluation suites', () => {
  it.each(Object.entries(EVALUATION_SUITES))('%s: has attacks and radii that exist, written the shortest way, none twice', (_, suite) => {
    const texts = suite.attacks.map((text) => formatAttackSpec(parseAttackSpec(text)));
    expect(texts).toEqual([...suite.attacks]);
    expect(new Set(texts).size).toBe(texts.length);
    expect(parseEpsList(suite.eps, 'linf').length).toBeGreaterThan(1);
  });

  it('quick is the cheapest', () => {
    const cost = ({ attacks, samples }: (typeof EVALUATION_SUITES)['quick']) =>
      samples * attacks.reduce((sum, text) => sum + attackPasses(parseAttackSpec(text)), 0);
    expect(cost(EVALUATION_SUITES.quick)).toBeLessThan(cost(EVALUATION_SUITES.standard) / 100);
  });
});

describe('attackPasses', () => {
  it('is what the catalogue says for the defaults', () => {
    expect(attackPasses(parseAttackSpec('apgd'))).toBe(ATTACK_CATALOGUE.apgd.passes);
    expect(attackPasses(undefined)).toBe(1);
  });

  it('grows with steps, restarts and targets together', () => {
    expect(attackPasses(parseAttackSpec('pgd:steps=100:restarts=10'))).toBeCloseTo(100 * ATTACK_CATALOGUE.pgd.passes, 9);
    expect(attackPasses(parseAttackSpec('apgd-t:targets=3'))).toBeCloseTo(ATTACK_CATALOGUE['apgd-t'].passes / 3, 9);
  });
});
