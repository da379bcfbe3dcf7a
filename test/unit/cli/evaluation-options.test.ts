import { describe, expect, it } from 'vitest';
import { chooseEvaluation } from '../../../src/cli/evaluation-options.ts';
import { describeProgress } from '../../../src/cli/show-evaluation.ts';
import { EVALUATION_SUITES, formatAttackSpec } from '../../../src/config/index.ts';

describe('chooseEvaluation', () => {
  it('takes attacks, radii and number of images from the suite', () => {
    const { attacks, radii, samples } = chooseEvaluation({ suite: 'quick' });
    expect(attacks.map(formatAttackSpec)).toEqual(EVALUATION_SUITES.quick.attacks);
    expect(radii).toEqual({ linf: [2 / 255, 4 / 255, 8 / 255] });
    expect(samples).toBe(200);
  });

  it('lets options override each of them', () => {
    const choice = chooseEvaluation({ suite: 'quick', attacks: 'apgd:norm=l2, fgsm', eps: '1/255', epsL2: '0.25,1', samples: 30 });
    expect(choice.attacks.map(formatAttackSpec)).toEqual(['apgd:norm=l2', 'fgsm']);
    expect(choice.radii).toEqual({ linf: [1 / 255], l2: [0.25, 1] });
    expect(choice.samples).toBe(30);
  });

  it('gives attacks of norm l2 a radius of their own', () => {
    expect(chooseEvaluation({ suite: 'quick', attacks: 'pgd:norm=l2' }).radii).toEqual({ l2: [0.5] });
  });

  it('runs an attack that is named twice once', () => {
    expect(chooseEvaluation({ suite: 'quick', attacks: 'pgd,pgd:steps=10,pgd:norm=linf' }).attacks).toHaveLength(1);
  });

  it.each([
    ['an attack that does not exist', { attacks: 'pdg' }, 'did you mean "pgd"?'],
    ['a setting that does not exist', { attacks: 'pgd:step=3' }, 'did you mean "steps"?'],
    ['no attack', { attacks: '' }, 'there is no attack ""'],
    ['a radius in steps of pixel values', { eps: '8' }, 'did you mean 8/255?'],
    ['a negative radius', { eps: '-1/255' }, '"-1/255" is no radius'],
    ['half a pixel', { epsL0: '0.5' }, '"0.5" is no radius of norm l0'],
    ['an L2 radius over 20', { epsL2: '21' }, '"21" is no radius of norm l2'],
  ])('refuses %s', (_, wishes, text) => {
    expect(() => chooseEvaluation({ suite: 'quick', ...wishes })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(text) as unknown }),
    );
  });
});

describe('describeProgress', () => {
  it('estimates from the work of this call, not from what was done before', () => {
    // Half was there; a quarter of all took 60 s, so the last quarter takes 60 s.
    const line = describeProgress({ kind: 'progress', finished: 6, units: 8, share: 0.75, shareBefore: 0.5, images: 120 }, 60);
    expect(line).toBe('task 6/8 | 75 % of the work | 2.00 images/s | at most 1m00s left');
  });
});
