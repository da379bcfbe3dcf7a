import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EvaluationRecord } from '../../../../src/config/index.ts';
import { evaluationPage } from '../../../../src/reports/evaluation/evaluation-page.ts';
import { evaluationSummary, writeEvaluationReport } from '../../../../src/reports/index.ts';
import { honestDiagnostics, madeUpEvaluation, type MadeUpResult } from '../../../support/evaluation-records.ts';

const models = ['deep', 'adversarial'];
const both = (attack: string, eps: number, first: number, second: number): MadeUpResult[] => [
  { model: 0, attack, eps, accuracy: first },
  { model: 1, attack, eps, accuracy: second },
];

const fullRecord = (fields: Partial<EvaluationRecord> = {}): EvaluationRecord =>
  madeUpEvaluation({
    models,
    results: [
      { model: 0, accuracy: 0.56 },
      { model: 1, accuracy: 0.43 },
      ...[1, 2, 4, 8, 16, 32, 64, 128].flatMap((eps) => [
        ...both('fgsm', eps, 0.5 * Math.exp(-eps / 5), 0.45 * Math.exp(-eps / 12)),
        ...both('pgd:steps=20', eps, 0.48 * Math.exp(-eps / 4), 0.44 * Math.exp(-eps / 11)),
        ...both('apgd-t', eps, 0.44 * Math.exp(-eps / 3), 0.42 * Math.exp(-eps / 10)),
        ...both('square', eps, eps === 8 ? 0.01 : 0.5 * Math.exp(-eps / 4), 0.44 * Math.exp(-eps / 10)),
      ]),
      ...both('pgd:norm=l2', 0.5, 0.2, 0.3),
      { model: 0, attack: 'deepfool', distances: Array.from({ length: 1000 }, (_, i) => (i < 560 ? 0.1 + i / 800 : 0)) },
      { model: 1, attack: 'deepfool', distances: Array.from({ length: 1000 }, (_, i) => (i < 60 ? null : i < 430 ? 0.3 + i / 500 : 0)) },
    ],
    transfer: [
      { source: 0, model: 1, attack: 'pgd:steps=20', eps: 8, accuracy: 0.4 },
      { source: 1, model: 0, attack: 'pgd:steps=20', eps: 8, accuracy: 0.35 },
    ],
    diagnostics: [honestDiagnostics(), honestDiagnostics({ model: 1, majoritySign: 0.83 })],
    fields,
  });

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evaluation-report-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('writeEvaluationReport', () => {
  test('writes a page that loads nothing, red flags first', async () => {
    const files = await writeEvaluationReport(fullRecord(), folder);
    expect(files).toEqual(['evaluation.html', 'evaluation.csv', 'evaluation-distances.csv'].map((name) => join(folder, name)));
    const page = await readFile(files[0] as string, 'utf8');
    expect(page).not.toMatch(/<script|<link|src=|https?:\/\/(?!www\.w3\.org)/);
    expect(page.indexOf('constant-sign')).toBeLessThan(page.indexOf('in the worst case'));
    expect(page).toContain('3 raised');
    for (const text of ['black-box-stronger', 'unbounded-fails', 'p after Holm', 'Transfer', '370 of 430', 'restarts = 1'])
      expect(page).toContain(text);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('writes one row per figure', async () => {
    const [, accuracies, distances] = await writeEvaluationReport(fullRecord(), folder);
    const lines = (await readFile(accuracies as string, 'utf8')).trimEnd().split('\r\n');
    expect(lines[1]).toMatch(/^deep,deep,\w+,clean,,,1000,560,0\.56,0\.5290\d+,0\.5904\d+,,,,,2000,10000,1\.5$/);
    // 2 clean, 64 in linf, 2 in l2, 2 of DeepFool; worst cases: 16 and 2.
    expect(lines).toHaveLength(1 + 70 + 18);
    const rows = (await readFile(distances as string, 'utf8')).trimEnd().split('\r\n');
    expect(rows).toHaveLength(1 + 2000);
    expect(rows[1001]).toBe('adversarial,deepfool,0,0,1,,,,,');
  });

  test('says in every heading of results when only images were attacked that all networks classify correctly', () => {
    const page = evaluationPage(fullRecord({ onlyCorrectByAll: true }));
    const headings = [...page.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, text]) => text as string);
    const ofResults = headings.filter((text) => /Accuracy|Nearest|different|Transfer/.test(text));
    expect(ofResults).toHaveLength(5);
    for (const text of ofResults) expect(text).toContain('only images that all networks classify correctly');
  });

  test('takes a record with nothing measured yet', async () => {
    const record = madeUpEvaluation({ models, results: [], fields: { eps: { linf: [8 / 255] } } });
    const page = evaluationPage(record);
    expect(page).toContain('0 of 2 passes');
    expect(page).not.toMatch(/NaN|undefined/);
    const empty = { ...record, images: { index: [], label: [] }, models: [], attacks: [] };
    expect(evaluationPage(empty)).toContain('</html>');
    expect(evaluationSummary(empty)).toContain('no red flags');
    expect(await writeEvaluationReport(empty, folder)).toHaveLength(2);
  });

  test('escapes what comes from outside', () => {
    expect(evaluationPage(fullRecord({ command: '<b>&' }))).toContain('&lt;b&gt;&amp;');
  });
});

describe('evaluationSummary', () => {
  test('shows accuracies with intervals, medians and flags', () => {
    const text = evaluationSummary(fullRecord());
    expect(text).toContain('56.0 % [52.9, 59.0]');
    expect(text).toContain('worst case');
    expect(text).toContain('RED FLAGS: 3');
    expect(text).toMatch(/alarm adversarial: .*constant-sign\)\n +83.0 %/);
    expect(text).toMatch(/370 of 430/);
  });
});
