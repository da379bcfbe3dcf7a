/** @file How the figures of an evaluation are written in its tables. */
import { formatNumber, formatPercent } from '../format.ts';
import { type Html, html } from '../html.ts';
import type { Median } from '../statistics/median.ts';
import type { AccuracyRow } from './accuracy-rows.ts';

/** A distance with four significant digits; `none found` for the infinite one of failed attacks. */
export function distanceText(distance: number): string {
  return Number.isFinite(distance) ? formatNumber(distance) : 'none found';
}

/** Three significant digits, `< 0.0001` below that. */
export function pText(p: number): string {
  return p < 0.0001 ? '< 0.0001' : String(Number(p.toPrecision(3)));
}

export const EMPTY_CELL: Html = html`<td class="number">–</td>`;

/** Accuracy and interval of {@link AccuracyRow}, one under the other. */
export function accuracyCell(row: Pick<AccuracyRow, 'accuracy' | 'interval'> | undefined): Html {
  if (row === undefined) return EMPTY_CELL;
  const { low, high } = row.interval;
  return html`<td class="number">${formatPercent(row.accuracy)} %<span class="detail">${formatPercent(low)}–${formatPercent(high)}</span></td>`;
}

export function medianCell({ median, interval }: Median): Html {
  const range = interval === undefined ? 'too few' : `${distanceText(interval.low)}–${distanceText(interval.high)}`;
  return html`<td class="number">${distanceText(median)}<span class="detail">${range}</span></td>`;
}

/** A table that scrolls sideways where it is too wide. Columns after the first `textColumns` hold numbers. */
export function table(head: readonly (string | Html)[], rows: readonly Html[], textColumns = 1): Html {
  const cells = head.map((title, index) => (index < textColumns ? html`<th>${title}</th>` : html`<th class="number">${title}</th>`));
  return html`<div class="scroll"><table><thead><tr>${cells}</tr></thead><tbody>${rows}</tbody></table></div>`;
}
