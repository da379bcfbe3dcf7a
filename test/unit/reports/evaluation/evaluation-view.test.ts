import { describe, expect, test } from 'vitest';
import { passesDone } from '../../../../src/reports/evaluation/completeness.ts';
import { EvaluationView } from '../../../../src/reports/evaluation/evaluation-view.ts';
import { minimumNormRows } from '../../../../src/reports/evaluation/minimum-norm.ts';
import { pairTests } from '../../../../src/reports/evaluation/model-pairs.ts';
import { madeUpEvaluation } from '../../../support/evaluation-records.ts';

describe('EvaluationView', () => {
  test('the worst case is per image over all attacks, not the lowest accuracy', () => {
    const view = new EvaluationView(
      madeUpEvaluation({
        count: 4,
        results: [
          { attack: 'pgd', eps: 8, correct: '1100' },
          { attack: 'square', eps: 8, correct: '0110' },
        ],
      }),
    );
    expect(view.worstCase(0, 'linf', 8 / 255)).toBe('0100');
  });

  test('an image broken at a smaller radius is broken at a larger one', () => {
    const results = [
      { attack: 'pgd', eps: 4, correct: '0111' },
      { attack: 'pgd', eps: 8, correct: '1011' },
    ];
    const view = new EvaluationView(madeUpEvaluation({ count: 4, results }));
    expect(view.worstCase(0, 'linf', 4 / 255)).toBe('0111');
    expect(view.worstCase(0, 'linf', 8 / 255)).toBe('0011');
  });

  test('distances of minimum-norm attacks count at the radii of their norm, with room for float32', () => {
    const distances = [0, 0.5, 0.5 + 6e-8, 0.51, null];
    const view = new EvaluationView(
      madeUpEvaluation({
        count: 5,
        results: [
          { attack: 'apgd:norm=l2', eps: 0.5, correct: '01111' },
          { attack: 'deepfool', distances },
        ],
      }),
    );
    expect(view.worstCase(0, 'l2', 0.5)).toBe('00011');
    expect(view.norms()).toEqual(['l2']);
  });

  test('norms are kept apart', () => {
    const results = [
      { attack: 'pgd', eps: 8, correct: '10' },
      { attack: 'pgd:norm=l2', eps: 0.5, correct: '01' },
    ];
    const view = new EvaluationView(madeUpEvaluation({ count: 2, results }));
    expect(view.worstCase(0, 'linf', 8 / 255)).toBe('10');
    expect(view.worstCase(0, 'l2', 0.5)).toBe('01');
  });

  test('passes that were cut short are left out and counted as missing', () => {
    const results = [{ accuracy: 0.5 }, { attack: 'pgd', eps: 4, correct: '11' }, { attack: 'pgd', eps: 8, accuracy: 0.2 }];
    const view = new EvaluationView(madeUpEvaluation({ count: 10, results }));
    expect(view.worstCase(0, 'linf', 4 / 255)).toBeUndefined();
    expect(view.worstCase(0, 'linf', 8 / 255)).toBe('1100000000');
    expect(passesDone(view)).toEqual({ done: 2, all: 3 });
  });
});

describe('minimumNormRows', () => {
  test('takes medians over the images that are correct without an attack; failures are infinitely far', () => {
    const distances = [0, 0.1, 0.2, 0.3, null];
    const view = new EvaluationView(madeUpEvaluation({ count: 5, results: [{ correct: '01111' }, { attack: 'deepfool', distances }] }));
    const [row] = minimumNormRows(view);
    expect(row).toMatchObject({ attacked: 4, found: 3 });
    expect(row?.medians?.l2.median).toBeCloseTo(0.25, 12);
    expect(row?.medians?.l0.median).toBe(1);
  });

  test('has no medians where nothing is correct, and no row before the clean accuracy is known', () => {
    const attack = { attack: 'deepfool', distances: [0, 0] };
    const [row] = minimumNormRows(new EvaluationView(madeUpEvaluation({ count: 2, results: [{ correct: '00' }, attack] })));
    expect(row).toMatchObject({ attacked: 0, found: 0, medians: undefined });
    expect(minimumNormRows(new EvaluationView(madeUpEvaluation({ count: 2, results: [attack] })))).toEqual([]);
  });
});

describe('pairTests', () => {
  test('corrects over the pairs at one radius', () => {
    const models = ['a', 'b', 'c'];
    const correct = ['1'.repeat(20), `${'0'.repeat(8)}${'1'.repeat(12)}`, '1'.repeat(20)];
    const view = new EvaluationView(
      madeUpEvaluation({ models, count: 20, results: correct.map((own, model) => ({ model, correct: own })) }),
    );
    const tests = pairTests(view);
    expect(tests.map(({ first, second }) => [first, second])).toEqual([
      [0, 1],
      [0, 2],
      [1, 2],
    ]);
    // 8 to 0 discordant: 2 / 256; three hypotheses, then two, then one.
    expect(tests.map(({ p }) => p)).toEqual([2 / 256, 1, 2 / 256].map((p): unknown => expect.closeTo(p, 12)));
    expect(tests.map(({ adjusted }) => adjusted)).toEqual([6 / 256, 1, 6 / 256].map((p): unknown => expect.closeTo(p, 12)));
  });
});
