import { describe, expect, it } from 'vitest';
import { lineChart } from '../../../src/reports/line-chart.ts';
import { accuracyFigure, alignmentFigures, attackFigures, lossFigure, runTitles, stepCurve } from '../../../src/reports/run-charts.ts';
import type { StepRecord } from '../../../src/reports/run-record.ts';
import { bareRun } from './made-up-run.ts';

const step = (index: number, metrics: Record<string, number> = {}): StepRecord => ({
  step: index,
  epoch: 0,
  loss: index * 2,
  learningRate: 0.1,
  gradientNorm: 1,
  metrics,
});

describe('stepCurve', () => {
  it('stepCurve: keeps every step when there are few, counting from 1', () => {
    expect(stepCurve([step(0), step(1), step(2)], (one) => one.loss)).toEqual([
      { x: 1, y: 0 },
      { x: 2, y: 2 },
      { x: 3, y: 4 },
    ]);
  });

  it('stepCurve: averages equal stretches when there are many', () => {
    const points = stepCurve(
      Array.from({ length: 700 }, (_, index) => step(index)),
      (one) => one.loss,
    );
    expect(points).toHaveLength(100);
    expect(points[0]).toEqual({ x: 4, y: 6 });
    expect(points[99]).toEqual({ x: 697, y: 1392 });
  });

  it('stepCurve: leaves out steps when the metric is absent or not finite', () => {
    const records = [step(0, { a: 1 }), step(1), step(2, { a: Number.NaN })];
    expect(stepCurve(records, (one) => one.metrics.a)).toEqual([{ x: 1, y: 1 }]);
  });
});

describe('figures', () => {
  it('runTitles: uses the shortest description that tells runs apart', () => {
    expect(runTitles([bareRun(), bareRun({ strategy: 'deep' })])).toEqual(['benchmark', 'deep']);
    expect(runTitles([bareRun(), bareRun({ model: 'vgg6' })])).toEqual(['benchmark (cnn3)', 'benchmark (vgg6)']);
    expect(runTitles([bareRun(), bareRun({ seed: 2 })])).toEqual(['a, seed 1', 'a, seed 2']);
    expect(runTitles([bareRun(), bareRun({ runId: 'a-2' })])).toEqual(['a-1', 'a-2']);
  });

  it('figures: are absent when a run recorded nothing for them', () => {
    expect(lossFigure([bareRun()])).toBeUndefined();
    expect(accuracyFigure([bareRun()])).toBeUndefined();
    expect(attackFigures([bareRun()])).toEqual([]);
    expect(alignmentFigures(bareRun())).toEqual([]);
  });

  it('attackFigures: draws one figure per attack with the clean accuracy at eps 0', () => {
    const finalAccuracies = [
      { step: 1, attack: 'clean', epsLinf: 0, accuracy: 0.8, samples: 500 },
      { step: 1, attack: 'fgsm', epsLinf: 8 / 255, accuracy: 0.3, samples: 500 },
    ];
    const [figure, ...others] = attackFigures([bareRun({ finalAccuracies })]);
    expect(others).toEqual([]);
    expect(figure?.title).toBe('Accuracy under FGSM');
    expect(figure?.svg).toContain('>8</text>');
  });

  it('alignmentFigures: show zero gradients only when there are some', () => {
    const metrics = { 'gfa/input/cosine': 0.1, 'gfa/input/zeroGradient': 0 };
    expect(alignmentFigures(bareRun({ stepRecords: [step(0, metrics)] })).map((one) => one.title)).toEqual([
      'Cosine of feature and gradient',
    ]);
    const some = { ...metrics, 'gfa/input/zeroGradient': 0.5 };
    expect(alignmentFigures(bareRun({ stepRecords: [step(0, some)] })).map((one) => one.title)).toContain('Zero gradients');
  });
});

const draw = (): string =>
  lineChart(
    [
      {
        name: 'a',
        colour: 9,
        points: [
          { x: 0, y: 1 },
          { x: 1, y: 2 },
        ],
      },
    ],
    { xName: 'x', yName: 'y' },
  );

describe('lineChart', () => {
  it('lineChart: gives the same text twice and uses the colours of the page', () => {
    expect(draw()).toBe(draw());
    expect(draw()).toContain('var(--s1)');
    expect(draw()).not.toMatch(/<style|<script|class=/);
  });

  it('lineChart: leaves out values when a logarithmic axis cannot hold them', () => {
    const points = [
      { x: 0, y: 0 },
      { x: 1, y: Number.NaN },
      { x: 2, y: 0.5 },
      { x: 3, y: 0.25 },
    ];
    expect(lineChart([{ name: 'a', colour: 0, points }], { xName: 'x', yName: 'y', yScale: 'log' })).not.toContain('NaN');
  });
});
