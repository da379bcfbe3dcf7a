import { describe, expect, it } from 'vitest';
import { attackTitle, formatEps, formatNumber, formatPercent, formatSeconds } from '../../../src/reports/format.ts';

describe('format', () => {
  it('formatEps: writes a fraction of 255 when the radius is a whole or half number of levels', () => {
    expect(formatEps(8 / 255)).toBe('8/255');
    expect(formatEps(0.5 / 255)).toBe('0.5/255');
    expect(formatEps(0.03)).toBe('0.03');
  });

  it('formatSeconds: changes unit when a minute or an hour is reached', () => {
    expect(formatSeconds(4.26)).toBe('4.3 s');
    expect(formatSeconds(59.4)).toBe('59 s');
    expect(formatSeconds(59.6)).toBe('1 min 0 s');
    expect(formatSeconds(3725)).toBe('1 h 2 min');
  });

  it('formatNumber: keeps four significant digits when the value is not whole', () => {
    expect(formatNumber(512.345)).toBe('512.3');
    expect(formatNumber(400)).toBe('400');
    expect(formatNumber(Number.NaN)).toBe('NaN');
  });

  it('formatPercent, attackTitle: write shares and attacks as people do', () => {
    expect(formatPercent(0.0449)).toBe('4.5');
    expect(attackTitle('pgd')).toBe('PGD-10');
    expect(attackTitle('fgsm')).toBe('FGSM');
  });
});
