/** @file All candidates of a sweep: a table, the rungs they reached, their lines through the space, and what went wrong. */
import type { CandidateRecord, SweepRecord } from '../../sweeps/index.ts';
import { table } from '../evaluation/cells.ts';
import { type Html, html, raw } from '../html.ts';
import { section, wideCharts } from '../page-parts.ts';
import { finalResult, widestRung } from './candidate-result.ts';
import { estimateCells } from './front-section.ts';
import { parallelFigure } from './parallel-chart.ts';
import type { ParetoFront } from './pareto-front.ts';
import { rungFigure } from './progress-charts.ts';
import { objectiveTitle, parameterWriter } from './sweep-text.ts';

/** Longer tables are folded. */
const MOST_OPEN = 40;

export function candidateSection(record: SweepRecord, pareto: ParetoFront | undefined): Html {
  const rung = widestRung(record);
  const lines = pareto === undefined || rung === undefined ? undefined : parallelFigure(record, pareto, rung);
  return html`${section('Candidates', [rungFigure(record)])}
${wideCharts([lines])}
${candidateTable(record, pareto)}`;
}

function candidateTable(record: SweepRecord, pareto: ParetoFront | undefined): Html {
  const onFront = new Set(pareto?.front.map(({ candidate }) => candidate.candidate));
  const head = ['Candidate', 'Parameters', 'Rung, epochs', ...record.objectives.map(objectiveTitle)];
  const write = parameterWriter(record);
  const rows = record.candidates.map((candidate) => {
    const result = finalResult(record, candidate);
    const where = result === undefined ? '–' : `${result.rung}, ${result.epochs}`;
    const missing =
      result !== undefined && !result.complete ? html`<span class="detail">${result.seeds} of ${result.allSeeds} seeds</span>` : raw('');
    const name = onFront.has(candidate.candidate)
      ? html`<strong>#${candidate.candidate}</strong><span class="detail">on the front</span>`
      : html`#${candidate.candidate}`;
    const { parent } = candidate;
    const origin = parent === undefined ? raw('') : html`<span class="detail">fork of #${parent.candidate} on rung ${parent.rung}</span>`;
    return html`<tr><th scope="row">${name}<span class="detail">${candidate.state}</span>${origin}</th><td>${write(candidate)}</td><td>${where}${missing}</td>${estimateCells(record, result?.estimates ?? [])}</tr>`;
  });
  return html`<details${raw(rows.length <= MOST_OPEN ? ' open' : '')}><summary>All ${rows.length} candidates</summary>${table(head, rows, 3)}</details>
<p class="detail">Of each candidate the highest rung on which all of its seeds were measured, or any, where there is none. Rows of different rungs can't be compared. Mean over seeds, 95 % t interval, standard deviation, n = number of seeds.</p>`;
}

/** Signs of masked gradients and errors; nothing when there are none. */
export function problemSection({ candidates }: SweepRecord): Html {
  const rows = candidates.flatMap(problemRows);
  if (rows.length === 0)
    return html`<h2>Flags and failures</h2>
<p>None: no trial failed or was stopped, and no measurement looked like masked gradients.</p>`;
  return html`<h2>Flags and failures</h2>
${table(['Candidate', 'State', 'What', 'Seed, rung'], rows, 4)}
<p class="detail">A flag is a figure that an honestly robust network doesn't produce; docs/red-flags.md says what to do.</p>`;
}

/** The reason, then every flag and error once, with the measurements that have it. */
function problemRows({ candidate, state, reason, measurements }: CandidateRecord): Html[] {
  const where = new Map<string, string[]>();
  for (const { seed, rung, flags, error } of measurements)
    for (const text of [...flags, ...(error === undefined ? [] : [`${error.code}: ${error.message}`])])
      where.set(text, [...(where.get(text) ?? []), `${seed}, ${rung}`]);
  const row = (text: string, places: readonly string[]): Html =>
    html`<tr><th scope="row">#${candidate}</th><td>${state}</td><td>${text}</td><td>${places.join('; ')}</td></tr>`;
  return [...(reason === '' || where.has(reason) ? [] : [row(reason, [])]), ...[...where].map(([text, places]) => row(text, places))];
}
