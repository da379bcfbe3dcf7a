import { describe, expect, test } from 'vitest';
import { type AttackResult, type EvaluationRecord, parseAttackSpec } from '../../../src/config/index.ts';
import { EvaluationView } from '../../../src/reports/evaluation/evaluation-view.ts';
import { minimumNormRows } from '../../../src/reports/evaluation/minimum-norm.ts';
import { pairTests } from '../../../src/reports/evaluation/model-pairs.ts';
import { evaluationCsv, evaluationSummary } from '../../../src/reports/index.ts';
import { findRedFlags } from '../../../src/reports/red-flags/find-red-flags.ts';
import { holm, mcnemarExact } from '../../../src/reports/statistics/mcnemar.ts';
import { medianOf } from '../../../src/reports/statistics/median.ts';

const IMAGES = 1000;
/** The first `count` images correct. */
const first = (count: number): string => '1'.repeat(count) + '0'.repeat(IMAGES - count);

interface Row {
  readonly attack: string;
  readonly eps?: number;
  readonly correct: string;
  readonly model?: number;
}

function recordOf(rows: readonly Row[], models: readonly string[] = ['deep']): EvaluationRecord {
  const texts = [...new Set(rows.map(({ attack }) => attack))].filter((text) => text !== 'clean');
  return {
    format: 'deepdefense-evaluation/1',
    createdAt: '2025-01-02T03:04:05Z',
    command: 'deepdefense evaluate',
    packageVersion: '0',
    engine: 'e',
    hardware: 'h',
    workers: 1,
    seed: 1,
    dataset: 'synthetic',
    datasetHash: 'd',
    images: { index: Array.from({ length: IMAGES }, (_, i) => i), label: Array.from({ length: IMAGES }, (_, i) => i % 10) },
    onlyCorrectByAll: false,
    models: models.map((label) => ({
      label,
      source: label,
      strategy: label,
      model: 'cnn3',
      inputRange: 'unit',
      loss: 'mse',
      seed: 1,
      weightsSha256: 'w',
      config: {},
    })),
    attacks: texts.map(parseAttackSpec),
    eps: {},
    results: rows.map(
      ({ attack, eps = null, correct, model = 0 }): AttackResult => ({
        model,
        attack: texts.indexOf(attack),
        eps,
        correct,
        queries: { forward: 1, gradient: 2 },
        seconds: 3,
      }),
    ),
    transfer: [],
    diagnostics: [],
    wallSeconds: 1,
  };
}

describe('statistics', () => {
  test('McNemar is the two-sided binomial on the discordant pairs', () => {
    // 1 of 6: 2 (1 + 6) / 64.
    expect(mcnemarExact({ onlyFirst: 5, onlySecond: 1 })).toBeCloseTo(14 / 64, 12);
    expect(mcnemarExact({ onlyFirst: 0, onlySecond: 0 })).toBe(1);
    expect(mcnemarExact({ onlyFirst: 3000, onlySecond: 3000 })).toBe(1);
  });

  test('Holm multiplies the smallest by their number and never falls', () => {
    expect(holm([0.04, 0.01, 0.03])).toEqual([0.06, 0.03, 0.06]);
  });

  test('the median of failures is infinite, its interval lies between order statistics', () => {
    expect(medianOf([1, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]).median).toBe(Number.POSITIVE_INFINITY);
    // n = 10: P(Bin(10, 1/2) <= 1) = 11/1024 = 0.0107, P(<= 2) = 0.055: the second and the ninth.
    expect(medianOf([3, 1, 2, 10, 9, 8, 7, 6, 5, 4])).toMatchObject({ median: 5.5, interval: { low: 2, high: 9 } });
  });
});

describe('EvaluationView', () => {
  test('the worst case takes every image that an attack breaks at this radius or a smaller one', () => {
    const broken = (from: number) => `${'0'.repeat(from)}${'1'.repeat(IMAGES - from)}`;
    const view = new EvaluationView(
      recordOf([
        { attack: 'pgd', eps: 0.01, correct: broken(100) },
        { attack: 'apgd', eps: 0.02, correct: first(800) },
      ]),
    );
    expect(view.worstCase(0, 'linf', 0.02)).toBe(`${'0'.repeat(100)}${'1'.repeat(700)}${'0'.repeat(200)}`);
  });

  test('passes that are not complete are left out', () => {
    const view = new EvaluationView(recordOf([{ attack: 'pgd', eps: 0.01, correct: '10' }]));
    expect(view.worstCase(0, 'linf', 0.01)).toBeUndefined();
  });
});

/** Figures of an honest network: each attack a little stronger than the one before. */
const HONEST: readonly Row[] = [
  { attack: 'clean', correct: first(540) },
  { attack: 'noise', eps: 4 / 255, correct: first(535) },
  { attack: 'square', eps: 4 / 255, correct: first(349) },
  { attack: 'fgsm', eps: 4 / 255, correct: first(191) },
  { attack: 'pgd', eps: 4 / 255, correct: first(141) },
  { attack: 'apgd', eps: 4 / 255, correct: first(141) },
  { attack: 'apgd-t', eps: 4 / 255, correct: first(104) },
  { attack: 'pgd', eps: 8 / 255, correct: first(16) },
];

describe('red flags', () => {
  const idsOf = (rows: readonly Row[]) => findRedFlags(new EvaluationView(recordOf(rows))).map(({ rule }) => rule.id);
  const changed = (attack: string, correct: string) =>
    HONEST.map((row) => (row.attack === attack && row.eps === 4 / 255 ? { ...row, correct } : row));

  test('an honest network raises none', () => {
    expect(idsOf(HONEST)).toEqual([]);
  });

  test.each([
    ['FGSM stronger than PGD', changed('fgsm', first(60)), 'single-step-stronger'],
    ['Square stronger than gradients by 3 images', changed('square', first(101)), 'black-box-stronger'],
    ['APGD-T much weaker than PGD', changed('apgd-t', first(300)), 'attack-order'],
    ['noise that breaks what gradients do not', changed('noise', `0${'1'.repeat(534)}${'0'.repeat(465)}`), 'noise-breaks'],
    [
      'images that stay correct at a radius where nothing can be seen',
      [
        { attack: 'clean', correct: first(540) },
        { attack: 'pgd', eps: 0.5, correct: first(300) },
      ],
      'not-chance-at-large-radius',
    ],
    ['a larger radius that does less harm', [...HONEST, { attack: 'pgd', eps: 16 / 255, correct: first(200) }], 'not-monotone'],
  ])('%s', (_, rows, id) => {
    expect(idsOf(rows)).toContain(id);
  });

  test('Square is allowed 0.2 points', () => {
    expect(idsOf(changed('square', first(102)))).not.toContain('black-box-stronger');
  });
});

describe('reports', () => {
  const rows = HONEST.flatMap((row) => [
    { ...row, model: 0 },
    { ...row, model: 1, correct: `${'0'.repeat(50)}${row.correct.slice(50)}` },
  ]);
  const record = recordOf(rows, ['deep', 'benchmark']);

  test('the summary has red flags at the top, intervals, worst cases and clear differences', () => {
    const text = evaluationSummary(recordOf([{ attack: 'pgd', eps: 0.5, correct: first(300) }]));
    expect(text.split('\n')[0]).toMatch(/^RED FLAGS: \d/);
    const two = evaluationSummary(record);
    expect(two).toContain('no red flags');
    expect(two).toMatch(/worst case\s+│\s+L∞ 4\/255 │\s+10\.4 % \[8\.7, 12\.4\]/);
    expect(two).toContain('clean: deep is better than benchmark (50 images against 0');
  });

  test('pairs are tested at every radius and without an attack', () => {
    expect(pairTests(new EvaluationView(record))).toHaveLength(3);
  });

  test('the table has a row per result and per worst case', () => {
    const lines = evaluationCsv(record).trimEnd().split('\r\n');
    expect(lines).toHaveLength(1 + rows.length + 4);
    expect(lines.every((line) => line.split(',').length === lines[0]?.split(',').length)).toBe(true);
  });

  test('distances count over the images that are correct without an attack; failures are infinitely far', () => {
    const none = Array.from({ length: IMAGES }, (_, i) => (i < 540 ? (i < 270 ? 0.1 : null) : 0));
    const base = recordOf([
      { attack: 'clean', correct: first(540) },
      { attack: 'deepfool', correct: first(270) },
    ]);
    const results = base.results.map((one) =>
      one.attack === 0 ? { ...one, distances: { l2: none, linf: none, l1: none, mse: none, l0: none } } : one,
    );
    const [row] = minimumNormRows(new EvaluationView({ ...base, results }));
    expect(row).toMatchObject({ attacked: 540, found: 270 });
    expect(findRedFlags(new EvaluationView({ ...base, results })).map(({ rule }) => rule.id)).toEqual(['unbounded-fails']);
  });
});
