import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatTable, htmlReport, readRuns, writeReport } from '../../../src/reports/index.ts';
import { bareRun, writeMadeUpRun } from './made-up-run.ts';

let parent: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'deepdefense-reports-'));
});
afterEach(() => rm(parent, { recursive: true, force: true }));

describe('writeReport', () => {
  it('writeReport: writes one self-contained page without script when given two runs', async () => {
    const robust = [{ attack: 'fgsm', epsLinf: 8 / 255, accuracy: 0.214, samples: 1000 }] as const;
    const folders = [
      await writeMadeUpRun(parent, { strategy: 'benchmark', clean: 0.731, robust }),
      await writeMadeUpRun(parent, { strategy: 'deep', clean: 0.652, robust }),
    ];
    const file = join(parent, 'out', 'report.html');
    await writeReport(folders, file);
    const page = await readFile(file, 'utf8');
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/<script|<link|<img|https?:\/\/(?!www\.w3\.org)/);
    expect(page).toContain('prefers-color-scheme: dark');
    for (const text of [
      '73.1 %',
      '65.2 %',
      '21.4 %',
      '19.0–24.0, n = 1000',
      'FGSM 8/255',
      'CIFAR-10 (JPEG-75)',
      'Alignment per layer: deep',
      'PGD-10 alone',
    ])
      expect(page).toContain(text.replaceAll("'", '&#39;'));
    expect(page).not.toContain('Alignment per layer: benchmark');
    expect(page.match(/<svg role="img"/g)).toHaveLength(1 + 2 + 4);
    expect(await readdir(join(parent, 'out'))).toEqual(['report.html']);
  });

  it('writeReport: fails with USAGE when no folder is given', async () => {
    await expect(writeReport([], join(parent, 'r.html'))).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('htmlReport', () => {
  it('htmlReport: escapes names when they hold markup', () => {
    const page = htmlReport([bareRun({ dataset: '<b>"x"&</b>', engine: "<i>'e'</i>" })]);
    expect(page).not.toMatch(/<b>|<i>/);
    expect(page).toContain('&lt;b&gt;&quot;x&quot;&amp;&lt;/b&gt;');
  });
});

describe('formatTable', () => {
  it('formatTable: shows accuracies with interval and n, one row per run', async () => {
    const robust = [{ attack: 'pgd', epsLinf: 2 / 255, accuracy: 0.5, samples: 200 }] as const;
    const runs = await readRuns([
      await writeMadeUpRun(parent, { strategy: 'benchmark', clean: 0.7, steps: 10 }),
      await writeMadeUpRun(parent, { strategy: 'adversarial', clean: 0.6, steps: 10, robust }),
    ]);
    const lines = formatTable(runs).split('\n');
    expect(lines[1]).toMatch(/strategy\s.*Clean\s.*PGD-10 2\/255\s.*steps\s.*time\s.*samples\/s/);
    expect(lines[3]).toMatch(/benchmark\s.*70\.0 %\s.* -\s.*10\s.*1 min 22 s\s.*512\.3/);
    expect(formatTable(runs)).toContain('43.1–56.9');
    expect(formatTable(runs)).toContain('n = 200');
  });
});
