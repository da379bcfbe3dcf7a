/** @file The Pareto front: drawing, table, hypervolume and knee. */
import type { SweepRecord } from '../../sweeps/index.ts';
import { table } from '../evaluation/cells.ts';
import { type Html, html } from '../html.ts';
import { section, wideCharts } from '../page-parts.ts';
import type { MeanEstimate } from '../statistics/student-t.ts';
import type { CandidateResult } from './candidate-result.ts';
import { objectiveFigures } from './objective-chart.ts';
import type { ParetoFront } from './pareto-front.ts';
import { progressFigures } from './progress-charts.ts';
import { estimateText, objectiveTitle, parameterWriter, valueText } from './sweep-text.ts';

export function frontSection(record: SweepRecord, pareto: ParetoFront): Html {
  const { front, knee, rung, compared } = pareto;
  const head = ['Candidate', 'Parameters', ...record.objectives.map(objectiveTitle)];
  const write = parameterWriter(record);
  const rows = front.map((result) => frontRow(record, result, write(result.candidate), result === knee));
  const single = record.objectives.length === 1;
  return html`<h2>${single ? 'Best candidate' : 'Pareto front'}</h2>
<p>${frontSentence(record, pareto)}</p>
${table(head, rows, 2)}
<p class="detail">Mean over seeds, 95 % t interval, standard deviation and n = number of seeds, on rung ${rung}. ${compared.length} candidates are complete there and were compared; results of other rungs are after other numbers of epochs or under other attacks.</p>
${wideCharts(objectiveFigures(record, pareto))}
${section('Progress', progressFigures(record, pareto))}`;
}

/** What the front is worth, in one or two sentences. */
export function frontSentence(record: SweepRecord, { front, hypervolume, worst, knee, compared, rung }: ParetoFront): string {
  const { objectives, seeds } = record;
  const n = seeds.length === 1 ? 'one seed each (n = 1), so that no interval can be given' : `${seeds.length} seeds each`;
  const counts = `${front.length} of ${compared.length} candidates on rung ${rung}`;
  if (objectives.length === 1) return `${counts} ${front.length === 1 ? 'has' : 'have'} the best mean of ${objectives[0]?.name}; ${n}.`;
  const start = `${counts} ${front.length === 1 ? 'is' : 'are'} on the front: no other is at least as good in every objective and better in one; ${n}.`;
  const reference = objectives.map((objective, index) => `${objective.name} ${valueText(objective, worst[index] as number)}`).join(', ');
  const volume =
    hypervolume === undefined
      ? ''
      : ` They dominate ${hypervolume.toFixed(3)} of the box between the worst and the best observed values (hypervolume; reference point: the worst observed, ${reference}).`;
  const where =
    knee === undefined
      ? objectives.length === 2
        ? ` The front has no knee: ${front.length < 3 ? 'it takes three points' : 'no point lies before the chord between its ends'}.`
        : ''
      : ` The knee, farthest before the chord between the ends, is candidate #${knee.candidate.candidate}.`;
  return start + volume + where;
}

function frontRow(record: SweepRecord, result: CandidateResult, parameters: string, isKnee: boolean): Html {
  const { candidate, flags } = result;
  const marks = [
    isKnee ? html`<span class="detail">knee</span>` : html``,
    ...flags.map((flag) => html`<span class="detail">${flag}</span>`),
  ];
  return html`<tr><th scope="row">#${candidate.candidate}${marks}</th><td>${parameters}</td>${estimateCells(record, result.estimates)}</tr>`;
}

/** One cell per objective. */
export function estimateCells({ objectives }: SweepRecord, estimates: readonly MeanEstimate[]): readonly Html[] {
  return objectives.map((objective, index) => {
    const estimate = estimates[index];
    if (estimate === undefined) return html`<td class="number">–</td>`;
    const { value, detail } = estimateText(objective, estimate);
    return html`<td class="number">${value}<span class="detail">${detail}</span></td>`;
  });
}
