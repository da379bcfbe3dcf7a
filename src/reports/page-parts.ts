/** @file Pieces that report pages share: charts with legends, colour marks, times. */
import { type Html, html, raw } from './html.ts';
import type { Figure } from './run-charts.ts';

/** A heading and its charts; nothing when there are none. */
export function section(title: string, figures: readonly (Figure | undefined)[]): Html {
  const present = figures.filter((figure) => figure !== undefined);
  if (present.length === 0) return raw('');
  return html`<h2>${title}</h2>
<div class="charts">${present.map(figureHtml)}</div>`;
}

/** Charts that need the page's whole width. */
export function wideCharts(figures: readonly (Figure | undefined)[]): Html {
  const present = figures.filter((figure) => figure !== undefined);
  return present.length === 0 ? raw('') : html`<div class="charts wide">${present.map(figureHtml)}</div>`;
}

/** A chart with its title, legend and caption. */
export function figureHtml({ title, caption, svg, legend }: Figure): Html {
  return html`<figure><h3>${title}</h3>${legend.length < 2 ? raw('') : legendHtml(legend)}${raw(svg)}<figcaption>${caption}</figcaption></figure>`;
}

const DASHES = { solid: '', dashed: ' stroke-dasharray="6 3"', dotted: ' stroke-dasharray="2 2"' } as const;

function legendHtml(legend: Figure['legend']): Html {
  const items = legend.map(
    ({ name, colour, dash }) =>
      html`<li><svg viewBox="0 0 26 8" aria-hidden="true"><path d="M0 4H26" stroke="var(--s${colour % 8})" stroke-width="2.5"${raw(DASHES[dash ?? 'solid'])}/></svg>${name}</li>`,
  );
  return html`<ul class="legend">${items}</ul>`;
}

/** The mark of a run's or network's colour. */
export function swatch(index: number): Html {
  return raw(`<span class="swatch" style="background:var(--s${index % 8})"></span>`);
}

/** `2025-11-22 19:04 UTC`. */
export function formatTime(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
