/** @file What was found, as sections of the page: accuracies, distances, comparisons of networks, transfer. */
import { formatAttackSpec, type Norm } from '../../config/index.ts';
import { formatNumber, formatPercent } from '../format.ts';
import { type Html, html, raw } from '../html.ts';
import { figureHtml } from '../page-parts.ts';
import { radius } from '../red-flags/thresholds.ts';
import { type AccuracyRow, accuracyRows, rateOf, worstCaseRows } from './accuracy-rows.ts';
import { accuracyCell, EMPTY_CELL, medianCell, pText, table } from './cells.ts';
import { radiusFigures } from './evaluation-charts.ts';
import type { EvaluationView } from './evaluation-view.ts';
import { minimumNormRows } from './minimum-norm.ts';
import { pairTests } from './model-pairs.ts';

/** A heading; says so where only images were attacked that all networks classify correctly. */
export function heading(view: EvaluationView, title: string): Html {
  return html`<h2>${title}${view.record.onlyCorrectByAll ? ' (only images that all networks classify correctly)' : ''}</h2>`;
}

const condition = (norm: Norm | undefined, eps: number): string => (norm === undefined ? 'no attack' : radius(norm, eps));

/** No attack and the worst case, a row per radius, a column per network. */
export function worstCaseSection(view: EvaluationView): Html {
  const { models } = view.record;
  const worst = worstCaseRows(view);
  const clean = models.map((_, model) => view.clean(model));
  const rows = [
    html`<tr><th scope="row">no attack</th>${clean.map((one) => accuracyCell(one === undefined ? undefined : rateOf(one)))}</tr>`,
    ...view.norms().flatMap((norm) =>
      view.radii(norm).map((eps) => {
        const cells = models.map((_, model) =>
          accuracyCell(worst.find((row) => row.model === model && row.norm === norm && row.eps === eps)),
        );
        return html`<tr><th scope="row">${radius(norm, eps)}</th>${cells}</tr>`;
      }),
    ),
  ];
  return html`${heading(view, 'Accuracy without an attack and in the worst case')}
${table(['', ...models.map(({ label }) => label)], rows)}
<p class="detail">Shares of all ${view.count} images; ranges are Wilson 95 % intervals and cover the choice of images, not the seed of the training.
Worst case: an image counts as correct when it withstands every attack of the norm at this and all smaller radii, and when no minimum-norm attack found a misclassified image within the radius.
It is an upper bound: an attack that wasn't tried can only lower it. L∞ radii are in units of [0,1] pixels.</p>`;
}

/** Charts, and every single accuracy in a table that opens. */
export function attackSection(view: EvaluationView): Html {
  const figures = radiusFigures(view);
  if (figures.length === 0) return raw('');
  const { models } = view.record;
  const groups = new Map<string, AccuracyRow[]>();
  for (const row of accuracyRows(view)) {
    if (row.norm === undefined || row.eps === undefined || row.eps === 0) continue;
    const key = `${row.attack}/${row.eps}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const rows = [...groups.values()].map((group) => {
    const { attack, norm, eps = 0 } = group[0] as AccuracyRow;
    const cells = models.map((_, model) => accuracyCell(group.find((row) => row.model === model)));
    return html`<tr><th scope="row"><code>${attack}</code></th><td>${condition(norm, eps)}</td>${cells}</tr>`;
  });
  return html`${heading(view, 'Accuracy against the radius')}
<div class="charts">${figures.map(figureHtml)}</div>
<details><summary>Every attack and radius</summary>${table(['Attack', 'Radius', ...models.map(({ label }) => label)], rows, 2)}</details>`;
}

/** Medians of the distances. */
export function minimumNormSection(view: EvaluationView): Html {
  const found = minimumNormRows(view);
  if (found.length === 0) return raw('');
  const rows = found.map(({ model, spec, attacked, found: broken, medians }) => {
    const success = attacked === 0 ? '–' : `${formatPercent(broken / attacked)} %`;
    const cells =
      medians === undefined
        ? Array.from({ length: 5 }, () => EMPTY_CELL)
        : [medians.l2, medians.linf, medians.l1, medians.mse, medians.l0].map((median) => medianCell(median));
    return html`<tr><th scope="row"><code>${formatAttackSpec(spec)}</code></th><td>${view.label(model)}</td><td class="number">${success}<span class="detail">${broken} of ${attacked}</span></td>${cells}</tr>`;
  });
  return html`${heading(view, 'Nearest misclassified images')}
${table(['Attack', 'Network', 'Success', 'L2', 'L∞', 'L1', 'MSE', 'Pixels'], rows, 2)}
<p class="detail">Medians over the images that are correct without an attack (the denominator of Success), with 95 % intervals between order statistics. An image for which the attack found none counts as farther than all others.
All distances are of the same returned image, in [0,1] pixel units; the attack looks for a small one in its own norm only. MSE is the mean squared change of a value, Pixels the number of changed pixels of 1024.</p>`;
}

/** Differences between networks. */
export function pairSection(view: EvaluationView): Html {
  const tests = pairTests(view);
  if (tests.length === 0) return raw('');
  const rows = tests.map(({ norm, eps, first, second, onlyFirst, onlySecond, p, adjusted }) => {
    const difference = ((onlyFirst - onlySecond) / view.count) * 100;
    const verdict = adjusted < 0.05 ? html`<strong>${pText(adjusted)}</strong>` : html`${pText(adjusted)}`;
    return html`<tr><th scope="row">${condition(norm, eps)}</th><td>${view.label(first)}</td><td>${view.label(second)}</td><td class="number">${onlyFirst}</td><td class="number">${onlySecond}</td><td class="number">${difference > 0 ? '+' : ''}${difference.toFixed(1)}</td><td class="number">${pText(p)}</td><td class="number">${verdict}</td></tr>`;
  });
  return html`${heading(view, 'Are the networks different?')}
${table(['', 'First', 'Second', 'Only first correct', 'Only second correct', 'Difference in points', 'p', 'p after Holm'], rows, 3)}
<p class="detail">McNemar's test in its exact form (two-sided binomial) on the same ${view.count} images, in the worst case of each radius. Holm's correction is over the pairs of networks at one radius, not over the radii.
Below 0.05 (bold) the difference is more than the choice of images explains. One network of each kind says nothing about the spread between seeds of the training.</p>`;
}

/** What images made against one network do to the others. */
export function transferSection(view: EvaluationView): Html {
  const { transfer, attacks, models } = view.record;
  const complete = transfer.filter(({ correct }) => view.complete(correct));
  if (complete.length === 0) return raw('');
  const keys = [...new Set(complete.map(({ attack, eps }) => `${attack}/${eps}`))];
  const tables = keys.map((key) => {
    const own = complete.filter(({ attack, eps }) => `${attack}/${eps}` === key);
    const { attack, eps } = own[0] as (typeof own)[number];
    const spec = attacks[attack];
    const rows = models.map(({ label }, source) => {
      const cells = models.map((_, target) => {
        const white = view.bounded(target).find((one) => one.attack === attack && one.eps === eps)?.correct;
        const correct = source === target ? white : own.find((one) => one.source === source && one.target === target)?.correct;
        return heatCell(correct, source === target);
      });
      return html`<tr><th scope="row">${label}</th>${cells}</tr>`;
    });
    const title = spec === undefined ? `attack ${attack}` : `${formatAttackSpec(spec)}, ${radius(spec.norm, eps)}`;
    return html`<figure><h3>${title}</h3>${table(['made against', ...models.map(({ label }) => label)], rows)}</figure>`;
  });
  return html`${heading(view, 'Transfer')}
<div class="charts">${tables}</div>
<p class="detail">Accuracy of the column's network on images made against the row's; shares of all ${view.count} images, darker = fewer correct. The diagonal (bold) is the attack on the network itself and should be the lowest of its column.</p>`;
}

function heatCell(correct: string | undefined, own: boolean): Html {
  if (correct === undefined) return EMPTY_CELL;
  const { accuracy } = rateOf(correct);
  const strength = formatNumber(Math.round((1 - accuracy) * 45));
  const text = own ? html`<strong>${formatPercent(accuracy)} %</strong>` : html`${formatPercent(accuracy)} %`;
  return html`<td class="number" style="background:color-mix(in srgb, var(--s1) ${strength}%, transparent)">${text}</td>`;
}
