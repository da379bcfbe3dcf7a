/** @file What a sweep was: its state, its parts and its space. */
import type { SweepRecord } from '../../sweeps/index.ts';
import { table } from '../evaluation/cells.ts';
import { formatNumber, formatSeconds } from '../format.ts';
import { type Html, html } from '../html.ts';
import { formatTime } from '../page-parts.ts';
import { yamlText } from '../yaml-text.ts';
import { parameterText } from './parameter-columns.ts';
import { counted } from './sweep-warnings.ts';

/** `12 completed, 30 paused, 1 failed` */
export function stateCounts({ candidates }: SweepRecord): string {
  const counts = new Map<string, number>();
  for (const { state } of candidates) counts.set(state, (counts.get(state) ?? 0) + 1);
  return candidates.length === 0 ? 'none' : [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
}

/** `2.5 worker hours` */
export function workerHours({ workerSeconds }: SweepRecord): string {
  return `${formatNumber(workerSeconds / 3600)} worker hours`;
}

export function summarySection(record: SweepRecord): Html {
  const { candidates, startedAt, endedAt } = record;
  const measurements = candidates.reduce((sum, candidate) => sum + candidate.measurements.length, 0);
  const seconds = (Date.parse(endedAt) - Date.parse(startedAt)) / 1000;
  const facts: readonly (readonly [string, string | Html])[] = [
    ['Sweep', html`<code>${record.sweepId}</code>`],
    ['State', record.state],
    ['Subject', record.subject],
    ['Dataset', record.dataset === '' ? 'none (test function)' : record.dataset],
    ['Candidates', `${candidates.length}: ${stateCounts(record)}`],
    ['Seeds of training', `${record.seeds.join(', ')} (n = ${record.seeds.length})`],
    ['Seed of the sweep', String(record.seed)],
    ['Sampler, scheduler', `${record.sampler}, ${record.scheduler}`],
    ['Mode, lanes', `${record.mode}, ${counted(record.lanes, 'lane')}`],
    ['Measurements', String(measurements)],
    ['Work', workerHours(record)],
    [
      'Started, last event',
      `${formatTime(record.startedAt)}, ${formatTime(endedAt)}${Number.isFinite(seconds) ? ` (${formatSeconds(seconds)})` : ''}`,
    ],
    ['Engines', record.engines.length === 0 ? '–' : html`${record.engines.map((engine) => html`<code>${engine}</code> `)}`],
    ['Version', `deepdefense ${record.packageVersion}`],
    ['SHA-256 of decisions and results', html`<code>${record.decisionsSha256}</code>`],
  ];
  return html`<h2>Summary</h2>
<div class="scroll"><table><tbody>${facts.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody></table></div>`;
}

/** The space, the rungs and the objectives, as tables and as recorded. */
export function setupSection(record: SweepRecord): Html {
  const { candidates, ...rest } = record;
  const parameters = record.parameters.map(({ name, scale, low, high }) => {
    const tried = new Set(candidates.map((candidate) => parameterText(candidate.parameters[name])));
    const range = low === undefined || high === undefined ? '–' : `${parameterText(low)} to ${parameterText(high)}`;
    const values = scale === 'category' ? [...tried].join(', ') : String(tried.size);
    return html`<tr><th scope="row"><code>${name}</code></th><td>${scale}</td><td>${range}</td><td>${values}</td></tr>`;
  });
  const rungs = record.rungs.map(
    ({ epochs, attacks, robustSamples }, rung) =>
      html`<tr><th scope="row">${rung}</th><td class="number">${formatNumber(epochs)}</td><td class="number">${robustSamples}</td><td class="number wrap">${attacks.length === 0 ? '–' : attacks.join(', ')}</td></tr>`,
  );
  const { engines: _engines, parameters: _parameters, rungs: _rungs, ...config } = rest;
  return html`<h2>Configuration of the sweep</h2>
${table(['Parameter', 'Scale', 'Range', 'Tried'], parameters, 4)}
<p></p>
${table(['Rung', 'Epochs', 'Images attacked', 'Attacks'], rungs)}
<details><summary>As recorded</summary><pre>${yamlText({ ...config, rungs: record.rungs, parameters: record.parameters, engines: record.engines })}</pre></details>`;
}
