/** @file The measurements on gradients and logits as a table, a column per network. */
import type { MaskingDiagnostics } from '../../config/index.ts';
import { formatEps, formatNumber, formatPercent } from '../format.ts';
import { type Html, html, raw } from '../html.ts';
import { table } from './cells.ts';
import type { EvaluationView } from './evaluation-view.ts';

const percent = (share: number): string => `${formatPercent(share)} %`;

/** Name, what it means, and its text. */
const MEASURES: readonly (readonly [name: string, meaning: string, valueOf: (one: MaskingDiagnostics) => string])[] = [
  ['Images measured', 'the first so many of the evaluation', ({ samples }) => String(samples)],
  ['Length of the gradient', 'median, of the cross-entropy', ({ gradientNorm }) => formatNumber(gradientNorm.median)],
  ['Images without a gradient', 'shorter than 1e-8; should be none', ({ gradientNorm }) => percent(gradientNorm.zeroShare)],
  ['Values exactly 0', 'of the gradients; should be none', ({ gradientNorm }) => percent(gradientNorm.zeroValues)],
  ['Majority sign', '50 % = balanced, 100 % = a mere change of brightness', ({ majoritySign }) => percent(majoritySign)],
  ['Range of the logits', 'median of largest minus smallest', ({ logits }) => formatNumber(logits.medianRange)],
  ['Largest logit', 'absolute', ({ logits }) => formatNumber(logits.largest)],
  ['Confidence', 'median of the largest probability', ({ logits }) => formatNumber(logits.medianConfidence)],
  ['Outputs that look like probabilities', 'share of the images; should be none', ({ probabilityOutputs }) => percent(probabilityOutputs)],
  ['Difference between two runs', 'largest, of the logits; 0 = deterministic', ({ nondeterminism }) => formatNumber(nondeterminism)],
  [
    'Gradient at a random point near by',
    'median cosine with the gradient at the image; 1 = linear',
    ({ localLinearity }) => `${formatNumber(localLinearity.gradientCosine)} at ${formatEps(localLinearity.eps)}`,
  ],
  ['Error of the linear prediction', 'median, relative to the change of the loss', ({ localLinearity }) => percent(localLinearity.error)],
  ['Cosine of image and gradient', 'mean, of the cross-entropy', ({ alignment }) => formatNumber(alignment.crossEntropy)],
  ['Cosine of image and gradient', 'mean, of the squared error', ({ alignment }) => formatNumber(alignment.mse)],
  [
    'Cosine of image and gradient',
    'mean, of z_t - z_y for the other classes t, by rank of their logit',
    ({ alignment }) => alignment.targets.map((value) => value.toFixed(3)).join(', '),
  ],
];

/** Nothing when no network was measured. */
export function diagnosticsSection(view: EvaluationView): Html {
  const { models } = view.record;
  const all = models.map((_, model) => view.diagnostics(model));
  if (all.every((one) => one === undefined)) return raw('');
  const rows = MEASURES.map(([name, meaning, valueOf]) => {
    const cells = all.map((one) => html`<td class="number wrap">${one === undefined ? '–' : valueOf(one)}</td>`);
    return html`<tr><th scope="row">${name}<span class="detail">${meaning}</span></th>${cells}</tr>`;
  });
  return html`<h2>Measurements on gradients and logits</h2>
${table(['', ...models.map(({ label }) => label)], rows)}
${all.map((one, model) => (one === undefined ? raw('') : directionTable(view.label(model), one)))}
<p class="detail">The loss along the gradient should rise at least as much as along any other direction. Lengths are L2 norms of the change; images aren't cut to [0,1] here.</p>`;
}

function directionTable(label: string, { directions }: MaskingDiagnostics): Html {
  const distances = directions[0]?.distances ?? [];
  const rows = directions.map(
    ({ name, loss }) =>
      html`<tr><th scope="row">${name}</th>${loss.map((value) => html`<td class="number">${formatNumber(value)}</td>`)}</tr>`,
  );
  return html`<p><strong>${label}</strong>: mean cross-entropy at a distance along a direction</p>${table(['Direction', ...distances.map(formatNumber)], rows)}`;
}
