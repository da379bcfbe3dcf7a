/** @file Which parameters matter: bars of importance per objective, and heat maps over pairs of the most important ones. */
import type { ObjectiveRecord, SweepRecord } from '../../sweeps/index.ts';
import { barChart } from '../bar-chart.ts';
import { formatNumber } from '../format.ts';
import { type Html, html, raw } from '../html.ts';
import { figureHtml } from '../page-parts.ts';
import type { Figure } from '../run-charts.ts';
import { heatMap } from './heat-map.ts';
import { type Sensitivity, sensitivities } from './sensitivity.ts';
import { shortNames } from './sweep-text.ts';

/** Parameters whose pairs are drawn. */
const MAPPED = 3;

export function sensitivitySection(record: SweepRecord): Html {
  const all = sensitivities(record);
  if (all.length === 0) return raw('');
  return html`<h2>Which parameters matter</h2>
<p class="detail">A random forest was fitted to the means of the candidates that are complete on the rung with the most of them (rung ${all[0]?.rung ?? 0}): equal epochs and attacks for all, before a scheduler has selected. A layer's weight is a parameter; weight 0 (off) is a state of its own.</p>
${all.map((one) => objectivePart(record, one))}`;
}

function objectivePart(record: SweepRecord, sensitivity: Sensitivity): Html {
  const { name } = record.objectives[sensitivity.objective] as ObjectiveRecord;
  const { r2, refusal, candidates, importances } = sensitivity;
  if (refusal !== undefined) return html`<p><strong>${name}</strong>: no importances. ${refusal}</p>`;
  const top = importances.slice(0, MAPPED).map(({ parameter }) => parameter);
  const pairs = top.flatMap((first, index) => top.slice(index + 1).map((second) => [first, second] as const));
  return html`<p><strong>${name}</strong>: the forest explains ${formatNumber(Number((100 * (r2 ?? 0)).toFixed(0)))} % of the variance of unseen candidates (out-of-bag R² = ${(r2 ?? 0).toFixed(2)}, n = ${candidates} candidates). ${trust(r2 ?? 0)}</p>
<div class="charts">${figureHtml(importanceFigure(name, sensitivity))}${pairs.map(([first, second]) => heatMap(record, sensitivity, first, second))}</div>`;
}

function trust(r2: number): string {
  if (r2 < 0.3) return 'That is little: the importances describe the forest more than the objective.';
  return r2 < 0.7 ? 'The rest is noise of the seeds, or what the forest could not learn from so few candidates.' : '';
}

function importanceFigure(name: string, { importances }: Sensitivity): Figure {
  const labels = shortNames(importances.map(({ parameter }) => parameter));
  const series = [
    {
      name: 'R² lost when shuffled',
      colour: 0,
      bars: importances.map(({ permutation }) => permutation),
    },
    { name: 'variance explained alone', colour: 1, bars: importances.map(({ mainEffect }) => mainEffect) },
  ];
  return {
    title: `Importance for ${name}`,
    caption:
      'Blue: loss of out-of-bag R² when the values of the parameter are shuffled among candidates; it can exceed R². Orange: main effect in the functional ANOVA of the forest, as a share of its variance over the space; what is lacking to 1 are interactions. Lines: 95 % intervals from forests on halves of the candidates. Parameters count as independent, which weights that sum to 1 are not.',
    svg: barChart(series, { labels, xName: 'importance' }),
    legend: series,
  };
}
