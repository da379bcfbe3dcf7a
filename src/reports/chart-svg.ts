/**
 * @file Charts as SVG text, drawn by ECharts without a DOM. Colours are CSS variables of the page (`--s0` to `--s7` for series, `--ink`,
 * `--axis`, `--grid`), so that one drawing serves the light and the dark page.
 */
import { BarChart, CustomChart, LineChart, ParallelChart, ScatterChart } from 'echarts/charts';
import { GridComponent, ParallelComponent } from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { sha256 } from '../core/index.ts';

use([BarChart, CustomChart, LineChart, ParallelChart, ScatterChart, GridComponent, ParallelComponent, SVGRenderer]);

export type ChartOption = EChartsCoreOption;

/** Colours that a page must define, `--s0` and on. */
export const SERIES_COLOURS = 8;

export const FONT = { color: 'var(--ink)', fontFamily: 'inherit', fontSize: 12 };

/** What all axes share. */
export const AXIS_STYLE = {
  nameTextStyle: { ...FONT, color: 'var(--muted)' },
  axisLine: { lineStyle: { color: 'var(--axis)' } },
  axisTick: { show: false },
  splitLine: { lineStyle: { color: 'var(--grid)' } },
};

/** Room around a drawing with names at both axes. */
export const CHART_GRID = { left: 8, right: 20, top: 34, bottom: 26, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' };

export interface Drawing {
  readonly width: number;
  readonly height: number;
  /** For screen readers. */
  readonly label: string;
}

/** Returns one `<svg>` element of fluid width. */
export function drawChart(option: ChartOption, { width, height, label }: Drawing): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption(option);
    return withStableIds(tidy(chart.renderToSVGString(), label));
  } finally {
    chart.dispose();
  }
}

/** Axis labels: 12k for 12000, no trailing zeros, powers of ten for tiny values. */
export function shortNumber(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 10_000) return `${Number((value / 1000).toPrecision(4))}k`;
  return size < 0.001 ? value.toExponential(0) : String(Number(value.toPrecision(4)));
}

/** Drops what only a script would use, gives the drawing a fluid width and a text for screen readers. */
function tidy(svg: string, label: string): string {
  return svg
    .replace(/<style[\s\S]*?<\/style>/g, '')
    .replace(/ (?:class|pointer-events|ecmeta_\w+)="[^"]*"/g, '')
    .replace(/<svg width="\d+" height="\d+"/, `<svg role="img" aria-label="${attribute(label)}"`)
    .replace(/ xmlns:xlink="[^"]*"| version="1.1"| baseProfile="full"/g, '')
    .replace(/\n\s*/g, '');
}

/** ECharts counts drawings of the process in its ids; a hash keeps them unique within a page and equal from run to run. */
function withStableIds(svg: string): string {
  const neutral = svg.replace(/\bzr\d+-/g, 'zr-');
  return neutral.replaceAll('zr-', `g${sha256(neutral).slice(0, 8)}-`);
}

function attribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
