import { describe, expect, it } from 'vitest';
import { formatEps, parseEpsList } from '../../../src/config/index.ts';

describe('parseEpsList', () => {
  it('takes quotients, decimals and lists, sorted and without repetitions', () => {
    expect(parseEpsList('8/255', 'linf')).toEqual([8 / 255]);
    expect(parseEpsList('0.03, 0,.5/255,1e-3', 'linf')).toEqual([0, 0.001, 0.5 / 255, 0.03].sort((a, b) => a - b));
    expect(parseEpsList('4/255,2/255,4/255', 'linf')).toEqual([2 / 255, 4 / 255]);
    expect(parseEpsList('0.5,128/255,20', 'l2')).toEqual([0.5, 128 / 255, 20].sort((a, b) => a - b));
  });

  it.each([
    ['8', 'linf', 'did you mean 8/255?'],
    ['0.01,16', 'linf', 'did you mean 16/255?'],
    ['128', 'l2', 'did you mean 128/255?'],
  ] as const)('%s of norm %s is asked back', (text, norm, todo) => {
    expect(() => parseEpsList(text, norm)).toThrow(
      expect.objectContaining({ code: 'USAGE', parts: expect.objectContaining({ todo }) as unknown }),
    );
  });

  it.each(['-0.1', '-1/255', '1/0', '0/0', '8/255/2', '', 'a', '0x1', '1/255,', '8/255 4/255', 'Infinity', 'NaN', '1000'])(
    'refuses "%s"',
    (text) => {
      expect(() => parseEpsList(text, 'linf')).toThrow(expect.objectContaining({ code: 'USAGE' }));
    },
  );

  it('refuses an L2 radius over 20', () => {
    expect(() => parseEpsList('20.5', 'l2')).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('formatEps', () => {
  it('writes steps of pixel values as such', () => {
    expect([0, 8 / 255, 0.5 / 255, 0.03, 0.5].map(formatEps)).toEqual(['0', '8/255', '0.5/255', '0.03', '0.5']);
  });
});
