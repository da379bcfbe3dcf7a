/** @file Groups of layers against each other, and the front against a baseline. */
import type { ObjectiveRecord, SweepRecord } from '../../sweeps/index.ts';
import { EMPTY_CELL, pText, table } from '../evaluation/cells.ts';
import { formatNumber } from '../format.ts';
import { type Html, html, raw } from '../html.ts';
import type { GroupComparison, GroupSummary } from './group-comparison.ts';
import { canBeSignificant, type PairedComparison } from './paired-seeds.ts';
import { differenceText, estimateText, intervalText, objectiveTitle, valueText } from './sweep-text.ts';

/** Nothing without groups. */
export function groupSection(record: SweepRecord, comparisons: readonly GroupComparison[]): Html {
  if (comparisons.length === 0) return raw('');
  return html`<h2>First against Deep: which layers are aligned</h2>
<p>Candidates by the layers with a weight above 0, whatever their other parameters are. First: the input only; Deep: feature layers only; both: the input and feature layers. A sampler that learns doesn't draw candidates at random, so p describes the difference and proves nothing.</p>
${comparisons.map((comparison) => groupTables(record, comparison))}
<p class="detail">Median over the candidates' means with its distribution-free 95 % interval (from 6 candidates on). The best of a larger group is better by chance alone: compare medians. p: Mann-Whitney, two-sided; adjusted after Holm over all tests of a rung.</p>`;
}

function groupTables({ objectives }: SweepRecord, { rung, groups, tests }: GroupComparison): Html {
  const rows = objectives.flatMap((objective, index) =>
    groups.map(
      (group) =>
        html`<tr><th scope="row">${objectiveTitle(objective)}</th><td>${group.name}</td><td class="number">${group.members.length}</td>${groupCells(group, objective, index)}</tr>`,
    ),
  );
  const testRows = tests.map(
    ({ objective, first, second, firstBetter, p, adjusted }) =>
      html`<tr><th scope="row">${objectives[objective]?.name ?? ''}</th><td>${first} against ${second}</td><td class="number">${(100 * firstBetter).toFixed(0)} %</td><td class="number">${pText(p)}</td><td class="number">${pText(adjusted)}</td></tr>`,
  );
  return html`<h3>On rung ${rung}</h3>
${table(['Objective', 'Group', 'Candidates', 'Median', 'Best'], rows, 2)}
<p></p>
${table(['Objective', 'Groups', 'Former is better', 'p', 'p adjusted'], testRows, 2)}`;
}

function groupCells({ medians, best }: GroupSummary, objective: ObjectiveRecord, index: number): readonly Html[] {
  const [median, top] = [medians[index], best[index]];
  const estimate = top?.estimates[index];
  if (median === undefined || top === undefined || estimate === undefined) return [EMPTY_CELL, EMPTY_CELL];
  const range = median.interval === undefined ? 'too few for an interval' : intervalText(objective, median.interval);
  const { value, detail } = estimateText(objective, estimate);
  return [
    html`<td class="number">${valueText(objective, median.median)}<span class="detail">${range}</span></td>`,
    html`<td class="number">${value}<span class="detail">#${top.candidate.candidate}: ${detail}</span></td>`,
  ];
}

/** Without a baseline it says how to get the comparison. */
export function pairedSection(record: SweepRecord, paired: PairedComparison | undefined): Html {
  if (paired === undefined)
    return html`<h2>Against a baseline</h2>
<p>No baseline was named. With the number of a candidate, those of the front are compared with it seed by seed.</p>`;
  const { baseline, differences, unpaired } = paired;
  const rows = differences.map(({ candidate, objective, rung, difference, p, adjusted, exact }) => {
    const own = record.objectives[objective] as ObjectiveRecord;
    const range = difference.interval === undefined ? 'no interval' : intervalText(own, difference.interval);
    return html`<tr><th scope="row">#${candidate.candidate}</th><td>${own.name}</td><td class="number">${rung}</td><td class="number">${difference.n}</td>
<td class="number">${differenceText(own, difference.mean)}<span class="detail">${range}</span></td><td class="number">${pText(p)}${exact ? '' : ' (approximate)'}</td><td class="number">${pText(adjusted)}</td></tr>`;
  });
  const missing =
    unpaired.length === 0 ? '' : ` Without a rung and seed in common: ${unpaired.map(({ candidate }) => `#${candidate}`).join(', ')}.`;
  return html`<h2>Against a baseline: candidate #${baseline.candidate}</h2>
${differences.length === 0 ? html`<p>Nothing to compare.</p>` : table(['Candidate', 'Objective', 'Rung', 'n', 'Difference', 'p', 'p adjusted'], rows, 2)}
<p>${pairCaution(paired)}${missing}</p>
<p class="detail">Candidate minus baseline over pairs of equal seed (n), with 95 % t interval; p: Wilcoxon's signed-rank test, two-sided, exact up to 20 pairs; adjusted after Holm over all rows. The candidates were chosen for being good, so their differences are flattered.</p>`;
}

/** What the table can't show. */
export function pairCaution({ differences, lower }: PairedComparison): string {
  const most = Math.max(0, ...differences.map(({ difference }) => difference.n));
  if (most === 0) return 'No pair of equal seed and rung was measured.';
  const where = lower
    ? 'The baseline has no result on the rung of the front: compared is a lower one, whose results promoted the front. '
    : '';
  if (canBeSignificant(most)) return where;
  return `${where}With ${most} ${most === 1 ? 'pair' : 'pairs'} no signed-rank test can be significant: its smallest p is ${formatNumber(2 ** (1 - most))}, and 6 pairs are needed for p < 0.05.`;
}
