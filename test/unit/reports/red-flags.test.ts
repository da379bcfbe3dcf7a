import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { MaskingDiagnostics } from '../../../src/config/index.ts';
import { EvaluationView } from '../../../src/reports/evaluation/evaluation-view.ts';
import { findRedFlags, RED_FLAG_RULES, uncheckedRules } from '../../../src/reports/red-flags/find-red-flags.ts';
import { honestDiagnostics, type MadeUpEvaluation, type MadeUpResult, madeUpEvaluation } from '../../support/evaluation-records.ts';

const raised = (evaluation: MadeUpEvaluation): string[] =>
  findRedFlags(new EvaluationView(madeUpEvaluation(evaluation))).map(({ rule, model }) => `${rule.id}/${model}`);
const raisedBy = (...results: MadeUpResult[]): string[] => raised({ results });
const raisedByDiagnostics = (fields: Partial<MaskingDiagnostics>): string[] =>
  raised({ results: [], diagnostics: [honestDiagnostics(fields)] });
const at = (attack: string, eps: number, accuracy: number): MadeUpResult => ({ attack, eps, accuracy });

/** Accuracies of the reference network on 256 images (golden/stats.json and the deterministic attacks beside it). */
const REFERENCE: readonly MadeUpResult[] = [
  { accuracy: 0.539 },
  ...[0.5, 1, 2, 4, 8, 16].flatMap((eps, index) => {
    const pick = (...values: number[]): number => values[index] as number;
    return [
      at('fgsm', eps, pick(0.473, 0.434, 0.336, 0.191, 0.047, 0.004)),
      at('bim', eps, pick(0.473, 0.43, 0.305, 0.141, 0.016, 0.004)),
      at('pifgsm', eps, pick(0.473, 0.434, 0.328, 0.164, 0.031, 0.004)),
    ];
  }),
  ...[1, 2, 4].flatMap((eps, index) => {
    const pick = (...values: number[]): number => values[index] as number;
    return [
      at('pgd', eps, pick(0.4297, 0.3125, 0.1422)),
      at('apgd:steps=10', eps, pick(0.4297, 0.3055, 0.1414)),
      at('apgd-t:steps=10', eps, pick(0.4062, 0.282, 0.1039)),
      at('jitter', eps, pick(0.4109, 0.2953, 0.1648)),
    ];
  }),
  at('square:queries=300', 2, 0.4398),
  at('square:queries=300', 4, 0.3492),
  at('pgd', 128, 0),
];

describe('red flags', () => {
  test('the reference network raises none', () => {
    expect(raised({ count: 256, results: REFERENCE, diagnostics: [honestDiagnostics()] })).toEqual([]);
  });

  test('a network that RobustBench flags for masking raises the mismatch of losses and the black box', () => {
    // Issue 193: 87.7 % clean, 86.2 % under APGD-CE, 69.0 % under APGD-T, Square stronger than APGD-CE.
    const results = [{ accuracy: 0.877 }, at('apgd', 8, 0.862), at('apgd-t', 8, 0.69), at('square', 8, 0.66)];
    expect(raisedBy(...results)).toEqual(['black-box-stronger/0', 'loss-mismatch/0']);
  });

  test('a single step may not do more harm than many on the same loss', () => {
    expect(raisedBy(at('fgsm', 8, 0.1), at('pgd', 8, 0.3))).toEqual(['single-step-stronger/0']);
    expect(raisedBy(at('fgsm', 8, 0.1), at('pgd:loss=margin', 8, 0.3))).toEqual([]);
    expect(raisedBy(at('fgsm', 8, 0.298), at('pgd', 8, 0.3))).toEqual([]);
  });

  test('a black box is compared image by image: 2 of 1000 are within the 0.2 points, 3 are not', () => {
    expect(raisedBy(at('apgd', 8, 0.4), at('square', 8, 0.398))).toEqual([]);
    expect(raisedBy(at('apgd', 8, 0.4), at('square', 8, 0.397))).toEqual(['black-box-stronger/0']);
    // Against a single step alone it says nothing.
    expect(raisedBy(at('fgsm', 8, 0.4), at('square', 8, 0.3))).toEqual([]);
  });

  test('a black box that looks for the nearest image counts at the radii of its norm', () => {
    const distances = Array.from({ length: 1000 }, (_, i) => (i < 300 ? null : 0.4));
    expect(raisedBy(at('apgd:norm=l2', 0.5, 0.4), { attack: 'hop-skip-jump', distances })).toEqual(['black-box-stronger/0']);
    expect(raisedBy(at('apgd:norm=l2', 0.25, 0.4), { attack: 'hop-skip-jump', distances })).toEqual([]);
  });

  test('a black box that changes one pixel says nothing: no attack with gradients is made for that', () => {
    const distances = Array.from({ length: 1000 }, (_, i) => (i < 525 ? null : 0.4));
    expect(raisedBy(at('one-pixel', 1, 0.365), { attack: 'sparsefool', distances })).not.toContain('black-box-stronger/0');
  });

  test('noise may break no image that gradients do not', () => {
    const correct = (broken: number): string => Array.from({ length: 1000 }, (_, i) => (i === broken ? '0' : i < 500 ? '1' : '0')).join('');
    expect(raisedBy({ attack: 'noise', eps: 8, correct: correct(3) }, at('pgd', 8, 0.4))).toEqual(['noise-breaks/0']);
    expect(raisedBy({ attack: 'noise', eps: 8, correct: correct(450) }, at('pgd', 8, 0.4))).toEqual([]);
  });

  test('grey images may not be recognised', () => {
    expect(raisedBy(at('pgd', 128, 0.2))).toEqual(['not-chance-at-large-radius/0']);
    expect(raisedBy(at('pgd', 128, 0.11))).toEqual([]);
    expect(raisedBy(at('pgd', 64, 0.2))).toEqual([]);
  });

  test('a doubled radius must break something, unless too few images could show it', () => {
    expect(raisedBy(at('pgd', 4, 0.5), at('pgd', 8, 0.5))).toEqual(['no-effect-of-radius/0']);
    expect(raisedBy(at('pgd', 4, 0.5), at('pgd', 8, 0.499))).toEqual([]);
    expect(raised({ count: 100, results: [at('pgd', 4, 0.5), at('pgd', 8, 0.5)] })).toEqual([]);
  });

  test('accuracy may rise with the radius only below guessing', () => {
    expect(raisedBy(at('fgsm', 8, 0.3), at('fgsm', 16, 0.35))).toEqual(['not-monotone/0']);
    expect(raisedBy(at('fgsm', 16, 0.004), at('fgsm', 128, 0.09))).toEqual([]);
  });

  test('more steps or restarts may change little, and looks of a black box are no steps', () => {
    expect(raisedBy(at('pgd', 8, 0.4), at('pgd:steps=100:restarts=10', 8, 0.35))).toEqual(['not-converged/0']);
    expect(raisedBy(at('pgd', 8, 0.4), at('pgd:steps=100:restarts=10', 8, 0.39))).toEqual([]);
    expect(raisedBy(at('pgd:steps=2', 8, 0.4), at('pgd', 8, 0.3))).toEqual([]);
    expect(raisedBy(at('square:queries=100', 8, 0.5), at('square', 8, 0.4))).toEqual([]);
  });

  test('transferred images may not do more harm than those made against the network', () => {
    const results = [0, 1].map((model): MadeUpResult => ({ model, attack: 'pgd', eps: 8, accuracy: 0.4 }));
    const transfer = (accuracy: number) => [{ source: 0, model: 1, attack: 'pgd', eps: 8, accuracy }];
    expect(raised({ models: ['a', 'b'], results, transfer: transfer(0.3) })).toEqual(['transfer-stronger/1']);
    expect(raised({ models: ['a', 'b'], results, transfer: transfer(0.7) })).toEqual([]);
  });

  test('attacks without a bound must succeed on the correct images', () => {
    const distances = (left: number) => Array.from({ length: 1000 }, (_, i) => (i < left ? null : i < 600 ? 0.4 : 0));
    const clean = { accuracy: 0.6 };
    // 36 of 600 are the 6 % that DeepFool leaves at ties.
    expect(raisedBy(clean, { attack: 'deepfool', distances: distances(36) })).toEqual([]);
    expect(raisedBy(clean, { attack: 'deepfool', distances: distances(61) })).toEqual(['unbounded-fails/0']);
    expect(raisedBy(clean, { attack: 'deepfool', distances: distances(36) }, { attack: 'cw', distances: distances(7) })).toEqual([
      'unbounded-fails/0',
    ]);
    expect(raisedBy(clean, { attack: 'deepfool', distances: distances(36) }, { attack: 'cw', distances: distances(0) })).toEqual([]);
  });

  test('each measurement has its flag', () => {
    const honest = honestDiagnostics();
    expect(raisedByDiagnostics({ gradientNorm: { ...honest.gradientNorm, zeroShare: 0.05 } })).toEqual(['zero-gradients/0']);
    expect(raisedByDiagnostics({ gradientNorm: { ...honest.gradientNorm, zeroValues: 0.9 } })).toEqual(['zero-gradients/0']);
    expect(raisedByDiagnostics({ majoritySign: 0.9 })).toEqual(['constant-sign/0']);
    expect(raisedByDiagnostics({ logits: { ...honest.logits, medianRange: 6800 } })).toEqual(['out-of-scale/0']);
    expect(raisedByDiagnostics({ localLinearity: { ...honest.localLinearity, gradientCosine: 0.05 } })).toEqual(['low-linearity/0']);
    expect(raisedByDiagnostics({ nondeterminism: 0.01 })).toEqual(['nondeterministic/0']);
    expect(raisedByDiagnostics({ nondeterminism: 1e-6 })).toEqual([]);
    expect(raisedByDiagnostics({ probabilityOutputs: 1 })).toEqual(['probabilities-as-logits/0']);
    const directions = honest.directions.map((one) => (one.name === 'random' ? { ...one, loss: [1.162, 1.7, 2] } : one));
    expect(raisedByDiagnostics({ directions })).toEqual(['other-directions-steeper/0']);
  });

  test('what was not measured is not said to be fine', () => {
    const view = new EvaluationView(madeUpEvaluation({ results: [{ accuracy: 0.5 }] }));
    expect(findRedFlags(view)).toEqual([]);
    expect(uncheckedRules(view).map(({ models }) => models)).toEqual(RED_FLAG_RULES.map(() => [0]));
  });

  test('every flag has a section in the docs', () => {
    const headings = readFileSync('docs/red-flags.md', 'utf8').match(/^## .*$/gm);
    expect(headings).toEqual(RED_FLAG_RULES.map(({ id }) => `## ${id}`));
  });
});
