/** @file What was asked, of what and at which cost: everything that is needed to do an evaluation again. */
import { describeAttack, formatAttackSpec } from '../../config/index.ts';
import { formatNumber, formatSeconds } from '../format.ts';
import { type Html, html, raw } from '../html.ts';
import { formatTime } from '../page-parts.ts';
import { radius } from '../red-flags/thresholds.ts';
import { yamlText } from '../yaml-text.ts';
import { table } from './cells.ts';
import type { EvaluationView } from './evaluation-view.ts';

/** What the training of each network took, and what it was. */
export function networkSection({ record: { models } }: EvaluationView): Html {
  const rows = models.map(
    ({ label, strategy, model, inputRange, loss, seed, source, weightsSha256, training }) => html`<tr>
<th scope="row">${label}<span class="detail">${source}</span><span class="detail"><code>${weightsSha256.slice(0, 16)}…</code></span></th>
<td>${strategy}</td><td>${model}, ${inputRange === 'unit' ? '[0,1]' : '[-1,1]'}</td><td>${loss}</td><td class="number">${seed}</td>
<td class="number">${training === undefined ? '–' : formatSeconds(training.seconds)}</td>
<td class="number">${training === undefined ? '–' : formatNumber(training.epochs)}</td>
<td class="number">${training === undefined ? '–' : formatNumber(training.samplesPerSecond)}</td>
<td class="number">${training === undefined ? '–' : training.workers}</td></tr>`,
  );
  const head = ['Network', 'Strategy', 'Architecture, input', 'Loss', 'Seed', 'Training time', 'Epochs', 'Samples/s', 'Workers'];
  return html`<h2>Networks and what their training cost</h2>
${table(head, rows, 4)}
<p class="detail">Times are comparable only when the machines and numbers of workers are. A dash means that the run folder doesn't say.</p>`;
}

/** Attacks with all settings and what they cost. */
export function parameterSection(view: EvaluationView): Html {
  const { record } = view;
  const facts: readonly (readonly [string, string | Html])[] = [
    ['Command', html`<code>${record.command}</code>`],
    ['Written', formatTime(record.createdAt)],
    ['Version', `deepdefense ${record.packageVersion}`],
    ['Engine', html`<code>${record.engine}</code>`],
    ['Hardware', record.hardware],
    ['Workers, time', `${record.workers}, ${formatSeconds(record.wallSeconds)}`],
    ['Seed of the attacks', String(record.seed)],
    ['Dataset', html`${record.dataset} <span class="detail"><code>${record.datasetHash}</code></span>`],
    [
      'Images',
      `${view.count} test images${record.onlyCorrectByAll ? ', only those that all networks classify correctly' : ', wrongly classified ones included'}`,
    ],
    ['Images of each class', classCounts(record.images.label)],
    ...Object.entries(record.eps).map(
      ([norm, radii = []]) => [`Radii (${norm})`, radii.map((eps) => radius(norm, eps)).join(', ')] as const,
    ),
  ];
  return html`<h2>Parameters</h2>
<div class="scroll"><table><tbody>${facts.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody></table></div>
${attackTable(view)}
<details><summary>Indices of the images in the test set</summary><pre class="wrap">${record.images.index.join(' ')}</pre></details>
${record.models.map(({ label, config }) => html`<details><summary>Configuration of ${label}</summary><pre>${yamlText(config)}</pre></details>`)}`;
}

function attackTable({ record: { attacks, results } }: EvaluationView): Html {
  if (attacks.length === 0) return raw('');
  const rows = attacks.map((spec, index) => {
    const own = results.filter(({ attack }) => attack === index);
    const sum = (valueOf: (one: (typeof own)[number]) => number): number => own.reduce((total, one) => total + valueOf(one), 0);
    const { kind, sees, summary } = describeAttack(spec.name);
    const settings = Object.entries(spec.settings).map(([key, value]) => `${key} = ${value}`);
    return html`<tr><th scope="row"><code>${formatAttackSpec(spec)}</code><span class="detail">${summary}</span></th>
<td>${kind}, ${spec.norm}; sees ${sees}</td><td>${settings.length === 0 ? 'none' : settings.join(', ')}</td>
<td class="number">${formatNumber(sum(({ queries }) => queries.forward))}</td><td class="number">${formatNumber(sum(({ queries }) => queries.gradient))}</td>
<td class="number">${formatSeconds(sum(({ seconds }) => seconds))}</td></tr>`;
  });
  return html`<h2>Attacks</h2>
${table(['Attack', 'Kind', 'Settings', 'Looks', 'Gradients', 'Computation'], rows, 3)}
<p class="detail">Looks and gradients are images passed through the networks, summed over networks, radii and images. Computation is summed over the workers.</p>`;
}

function classCounts(labels: readonly number[]): string {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([label, count]) => `${label}: ${count}`)
    .join(', ');
}
