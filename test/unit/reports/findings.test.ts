import { describe, expect, it } from 'vitest';
import { findings } from '../../../src/reports/findings.ts';
import type { EvaluationRecord } from '../../../src/reports/index.ts';
import { bareRun } from './made-up-run.ts';

const accuracy = (attack: string, levels: number, share: number, samples = 1000): EvaluationRecord => ({
  step: 1,
  attack,
  epsLinf: levels / 255,
  accuracy: share,
  samples,
});
const alarmsOf = (...finalAccuracies: EvaluationRecord[]): string[] =>
  findings([bareRun({ finalAccuracies })])
    .filter((finding) => finding.level === 'alarm')
    .map((finding) => finding.text);

const textOn = (dataset: string): string =>
  findings([bareRun({ dataset })])
    .map((finding) => finding.text)
    .join('\n');

describe('findings', () => {
  it('findings: raise no alarm when stronger attacks do more harm', () => {
    expect(
      alarmsOf(
        accuracy('clean', 0, 0.7),
        accuracy('fgsm', 2, 0.4),
        accuracy('fgsm', 8, 0.2),
        accuracy('pgd', 2, 0.39),
        accuracy('pgd', 8, 0.1),
      ),
    ).toEqual([]);
  });

  it('findings: suspect masking when PGD is clearly weaker than FGSM', () => {
    expect(alarmsOf(accuracy('fgsm', 8, 0.1), accuracy('pgd', 8, 0.3))).toEqual([
      expect.stringMatching(/PGD-10 leaves more.*gradient masking/),
    ]);
  });

  it('findings: say that gradients mislead when an attack without them does better than all others', () => {
    expect(alarmsOf(accuracy('pgd', 8, 0.3), accuracy('apgd-t', 8, 0.28), accuracy('square', 8, 0.27))).toEqual([
      expect.stringMatching(/Square sees no gradients.*27.0 %.*APGD-T.*the gradients mislead/),
    ]);
    expect(alarmsOf(accuracy('apgd-t', 8, 0.28), accuracy('square', 8, 0.279), accuracy('noise', 8, 0.6))).toEqual([]);
    expect(alarmsOf(accuracy('apgd', 8, 0.2), accuracy('apgd-t', 8, 0.4))).toEqual([expect.stringContaining('APGD-T leaves more')]);
  });

  it('findings: stay silent when the difference is within the intervals', () => {
    expect(alarmsOf(accuracy('fgsm', 8, 0.28, 100), accuracy('pgd', 8, 0.3, 100))).toEqual([]);
  });

  it('findings: suspect masking when accuracy rises with eps', () => {
    expect(alarmsOf(accuracy('pgd', 2, 0.2), accuracy('pgd', 8, 0.4))).toEqual([expect.stringContaining('from ε = 2/255 to 8/255')]);
  });

  it('findings: call a constant classifier what it is', () => {
    expect(alarmsOf(accuracy('clean', 0, 0.1))).toEqual([expect.stringContaining('near chance')]);
  });

  it('findings: warn about the dataset when it is not the official one', () => {
    expect(textOn('CIFAR-10 (JPEG-75)')).toContain("isn't the official pixel data");
    expect(textOn('synthetic')).toContain('say nothing about CIFAR-10');
    expect(textOn('CIFAR-10')).not.toContain('pixel data');
  });

  it('findings: say when a run has not ended, and what was wrong with its files', () => {
    const notes = findings([bareRun({ state: 'unfinished', steps: 40, warnings: ['result.json is damaged'] })]).map(
      (finding) => finding.text,
    );
    expect(notes).toEqual(expect.arrayContaining([expect.stringContaining('step 40'), 'a-1: result.json is damaged']));
  });
});
