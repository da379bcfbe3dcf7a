import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { analyseSweep, formatSweep, sweepCsv, sweepPage, writeSweepReport } from '../../../../src/reports/index.ts';
import { shortNames } from '../../../../src/reports/sweep/sweep-text.ts';
import type { SweepRecord } from '../../../../src/sweeps/index.ts';
import { layerSweep, madeUpSweep } from '../../../support/sweep-records.ts';

const pageOf = (record: SweepRecord, baseline?: number): string =>
  sweepPage(analyseSweep(record, baseline === undefined ? {} : { baseline }));

/** RFC 4180, written anew so that it doesn't share the writer's mistakes. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let [row, cell, quoted] = [[] as string[], '', false];
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    if (quoted) {
      if (char !== '"') cell += char;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === ',') [row, cell] = [[...row, cell], ''];
    else if (char === '\r' && text[i + 1] === '\n') {
      rows.push([...row, cell]);
      [row, cell] = [[], ''];
      i++;
    } else cell += char;
  }
  expect([row, cell]).toEqual([[], '']);
  return rows;
}

const twoSeeds = madeUpSweep({
  candidates: [
    {
      parameters: { rate: 0.1, kind: 'a, "b"' },
      values: [
        [
          [0.7, 0.3],
          [0.72, 0.34],
        ],
      ],
    },
    {
      parameters: { rate: 0.2, kind: 'c' },
      values: [[[0.6, 0.4], undefined]],
      state: 'failed',
      reason: 'a trial failed',
      flags: ['odd\nfigure'],
    },
    {
      parameters: { kind: 'c' },
      values: [
        [
          [0.65, 0.2],
          [0.64, 0.25],
        ],
      ],
    },
  ],
  fields: {
    parameters: [
      { name: 'rate', scale: 'log', low: 0.01, high: 1 },
      { name: 'kind', scale: 'category' },
    ],
  },
});

describe('sweepPage', () => {
  it('sweepPage: is one self-contained page without script, with every part', () => {
    const page = pageOf(layerSweep(), 0);
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/<script|<link|<img|https?:\/\/(?!www\.w3\.org)|undefined|NaN|\[object/);
    for (const text of [
      '60 candidates, 3 seeds each, 3 rungs on CIFAR-10 (JPEG-75)',
      'Sampler tpe, scheduler asha',
      'worker hours',
      'reference point: the worst observed, clean-accuracy',
      'SD ',
      'n = 3',
      'First against Deep',
      'Against a baseline: candidate #0',
      'With 3 pairs no signed-rank test can be significant: its smallest p is 0.25',
      'Importance for clean-accuracy',
      'out-of-bag R²',
      'robust-accuracy at 4/255 over strength and input',
      'Candidates per rung',
      'Parameters and results of every candidate',
      'Hypervolume of the front so far',
      'All 60 candidates',
      'TRAINING_DIVERGED: the loss is not finite',
      'PGD leaves more images right than FGSM',
      'timing-invariant, 6 lanes',
      'onnx:cpu made-up',
      'strategy.gfa.weights.conv3',
      'As recorded',
    ])
      expect(page).toContain(text);
    // Objectives, two curves and the hypervolume, two of importance, rungs, parallel coordinates.
    expect(page.match(/<svg role="img"/g)).toHaveLength(1 + 3 + 2 + 1 + 1);
  });

  it('sweepPage: says that there are no intervals when there is one seed', () => {
    const page = pageOf(layerSweep({ seeds: 1 }));
    expect(page).toContain('trained with one seed (n = 1): there are no intervals');
    expect(page).toContain('n = 1, no interval');
    expect(page).toContain('One seed each (n = 1): no intervals.');
    expect(page).not.toContain('SD ');
    expect(page).toContain('No baseline was named');
  });

  it('sweepPage: shows what there is when nothing was measured, and for one objective', () => {
    const empty = pageOf(madeUpSweep({ candidates: [], fields: { state: 'running' } }));
    expect(empty).toContain('The sweep is running: what is shown can still change.');
    expect(empty).toContain('there is no front yet');
    const single = pageOf(
      madeUpSweep({
        candidates: [3, 1, 2].map((value) => ({ parameters: { x: value }, values: [[[value]]] })),
        fields: {
          objectives: [{ name: 'value', goal: 'minimize', unit: '' }],
          dataset: '',
          parameters: [{ name: 'x', scale: 'linear', low: 0, high: 3 }],
        },
      }),
    );
    expect(single).toContain('1 of 3 candidates on rung 0 has the best mean of value; one seed each (n = 1)');
    expect(single).toContain('none (test function)');
    expect(single).not.toMatch(/undefined|NaN/);
  });

  it('sweepPage: alarms when the front is flagged, or not on the last rung', () => {
    const page = pageOf(madeUpSweep({ rungs: 2, candidates: [{ values: [[[0.5, 0.5]]], flags: ['odd'], state: 'paused' }] }));
    expect(page.match(/<li class="alarm">/g)).toHaveLength(2);
    expect(page).toContain('Signs of masked gradients on the Pareto front: candidate #0');
    expect(page).toContain('No candidate is complete on the last rung (1)');
  });

  it('sweepPage: escapes names, values, flags and errors', () => {
    const evil = '<b>"x"&</b>';
    const base = layerSweep({ count: 24, seeds: 1 });
    const page = pageOf({
      ...base,
      name: evil,
      subject: evil,
      dataset: evil,
      engines: [evil],
      objectives: base.objectives.map((objective) => ({ ...objective, name: `${evil} ${objective.name}` })),
      parameters: base.parameters.map((parameter, i) => (i === 0 ? { ...parameter, name: `p${evil}` } : parameter)),
      candidates: base.candidates.map((candidate) => ({
        ...candidate,
        reason: evil,
        parameters: { ...candidate.parameters, [`p${evil}`]: `${evil}${candidate.candidate % 3}` },
        measurements: candidate.measurements.map((one) => ({ ...one, flags: [evil] })),
      })),
    });
    expect(page).not.toContain('<b>');
    expect(page).toContain('&lt;b&gt;&quot;x&quot;&amp;&lt;/b&gt;');
    expect(page).toMatch(/aria-label="&lt;b>&quot;x&quot;&amp;&lt;\/b>[^"<]*" /);
  });
});

describe('sweepCsv', () => {
  it('sweepCsv: has one row per measurement, with values as they are', () => {
    const [head = [], ...rows] = parseCsv(sweepCsv(twoSeeds));
    expect(rows).toHaveLength(6);
    const cell = (row: number, column: string): string | undefined => rows[row]?.[head.indexOf(column)];
    for (const row of rows) expect(row).toHaveLength(head.length);
    expect(cell(1, 'seed')).toBe('12');
    expect(Number(cell(1, 'objective.robust-accuracy at 4/255'))).toBe(0.34);
    expect(cell(0, 'parameter.kind')).toBe('a, "b"');
    expect(cell(4, 'parameter.rate')).toBe('');
    expect(cell(2, 'flags')).toBe('odd\nfigure');
    expect(cell(3, 'objective.clean-accuracy')).toBe('');
    expect(cell(3, 'error_code')).toBe('TRAINING_DIVERGED');
    expect(cell(3, 'detail.fgsm@4/255')).toBe('');
    expect(Number(cell(5, 'detail.fgsm@4/255'))).toBe(0.25);
    expect(new Set(head).size).toBe(head.length);
  });
});

describe('formatSweep', () => {
  it('formatSweep: shows the front first, then warnings, then the others, with intervals and n', () => {
    const text = formatSweep(twoSeeds, { baseline: 2 });
    const places = [
      'completed; candidates: 2 completed, 1 failed',
      'PARETO FRONT: 1 of 2',
      'note: ',
      'against candidate #2',
      'other candidates',
    ].map((part) => text.indexOf(part));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    // Mean 0.71, SD 0.01414, n = 2: 12.706 * 0.01.
    expect(text).toContain('71.0 % [58.3 to 83.7]');
    expect(text).toContain('n = 2');
    expect(text).toContain('#0 clean-accuracy: +6.5 points');
    expect(text).toContain('With 2 pairs no signed-rank test can be significant');
    expect(text).toMatch(/note: 1 candidate of 3 failed: candidate #1/);
  });

  it('formatSweep: shows no more than 30 other candidates', () => {
    expect(formatSweep(layerSweep({ seeds: 1 }))).toMatch(/and \d+ more; the report has all/);
  });
});

describe('shortNames', () => {
  it('shortNames: cuts names as far as they stay different', () => {
    expect(shortNames(['strategy.gfa.strength', 'strategy.gfa.weights.input', 'model.input', 'x1'])).toEqual([
      'strength',
      'weights.input',
      'model.input',
      'x1',
    ]);
  });
});

describe('writeSweepReport', () => {
  let parent: string;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'deepdefense-sweep-report-'));
  });
  afterEach(() => rm(parent, { recursive: true, force: true }));

  it('writeSweepReport: writes page and table, and nothing else', async () => {
    const folder = join(parent, 'new');
    expect(await writeSweepReport(twoSeeds, folder)).toEqual([join(folder, 'sweep.html'), join(folder, 'sweep.csv')]);
    expect((await readdir(folder)).sort()).toEqual(['sweep.csv', 'sweep.html']);
    expect(await readFile(join(folder, 'sweep.csv'), 'utf8')).toBe(sweepCsv(twoSeeds));
    expect(await readFile(join(folder, 'sweep.html'), 'utf8')).toBe(pageOf(twoSeeds));
  });

  it('writeSweepReport: writes nothing when the baseline is no candidate', async () => {
    await expect(writeSweepReport(twoSeeds, parent, { baseline: 7 })).rejects.toMatchObject({ code: 'USAGE' });
    expect(await readdir(parent)).toEqual([]);
  });
});
