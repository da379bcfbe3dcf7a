/** @file Accuracy against the radius, a drawing per network and norm. */
import type { Norm } from '../../config/index.ts';
import { type ChartPoint, type ChartSeries, lineChart } from '../line-chart.ts';
import { radius } from '../red-flags/thresholds.ts';
import type { Figure } from '../run-charts.ts';
import { type AccuracyRow, accuracyRows, rateOf, worstCaseRows } from './accuracy-rows.ts';
import type { EvaluationView } from './evaluation-view.ts';

const DASHES = ['solid', 'dashed', 'dotted'] as const;
/** Colours for attacks: all of the page's but the first, which is the worst case's. */
const ATTACK_COLOURS = 7;

/** Radii are drawn at equal distances, since they double from one to the next as a rule. Norms in which nothing was measured have no chart. */
export function radiusFigures(view: EvaluationView): readonly Figure[] {
  const rows = accuracyRows(view);
  const worst = worstCaseRows(view);
  return view.record.models.flatMap((_, model) =>
    view.norms().flatMap((norm): Figure[] => {
      const radii = view.radii(norm);
      const own = (all: readonly AccuracyRow[]) =>
        all.filter((row) => row.model === model && row.norm === norm && radii.includes(row.eps ?? 0));
      const attacks = own(rows);
      if (attacks.length === 0) return [];
      const clean = view.clean(model);
      const start: ChartPoint[] = clean === undefined ? [] : [{ x: 0, y: rateOf(clean).accuracy }];
      const pointsOf = (list: readonly AccuracyRow[]): ChartPoint[] => [
        ...start,
        ...list.map(({ eps = 0, accuracy }) => ({ x: radii.indexOf(eps) + 1, y: accuracy })).sort((a, b) => a.x - b.x),
      ];
      const worstPoints = own(worst).map(({ eps = 0, accuracy, interval }) => ({ x: radii.indexOf(eps) + 1, y: accuracy, ...interval }));
      const series: ChartSeries[] = [
        ...[...new Set(attacks.map(({ attack }) => attack))].map((name, index) => ({
          name,
          colour: 1 + (index % ATTACK_COLOURS),
          dash: DASHES[Math.floor(index / ATTACK_COLOURS) % DASHES.length] ?? 'solid',
          dots: true,
          points: pointsOf(attacks.filter(({ attack }) => attack === name)),
        })),
        { name: 'worst case', colour: 0, dots: true, points: [...start, ...worstPoints] },
      ];
      return [figureOf(view, model, norm, series)];
    }),
  );
}

function figureOf(view: EvaluationView, model: number, norm: Norm, series: readonly ChartSeries[]): Figure {
  const radii = view.radii(norm);
  const name = norm === 'linf' ? 'L∞' : norm.toUpperCase();
  const svg = lineChart(series, {
    xName: `radius (${name})`,
    yName: 'correct',
    xMin: 0,
    xMax: radii.length,
    yMin: 0,
    yMax: 1,
    xLabel: (x) => (x === 0 ? 'clean' : Number.isInteger(x) ? radius(norm, radii[x - 1] ?? 0).replace(/^\S+ /, '') : ''),
    yLabel: (y) => `${Math.round(y * 100)} %`,
  });
  const caption = `Share of ${view.count} images that are correct before and after each attack. Bars: Wilson 95 % intervals of the worst case. Radii are drawn at equal distances.`;
  return { title: `${view.label(model)}, ${name}`, caption, svg, legend: series };
}
