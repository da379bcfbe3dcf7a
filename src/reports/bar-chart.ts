/** @file Horizontal bars with the ends of intervals. */
import { AXIS_STYLE, drawChart, FONT, SERIES_COLOURS, shortNumber } from './chart-svg.ts';
import type { Interval } from './wilson.ts';

export interface BarSeries {
  readonly name: string;
  /** Index of the colour; wraps around. */
  readonly colour: number;
  /** One per label. */
  readonly bars: readonly { readonly value: number; readonly interval?: Interval }[];
}

export interface BarOptions {
  /** From the top down. */
  readonly labels: readonly string[];
  readonly xName: string;
  readonly width?: number;
  /** Written behind a bar; nothing where absent. */
  readonly text?: (value: number) => string;
}

const BAR_HEIGHT = 16;
const ROW_GAP = 10;
const AROUND = 58;

/** Draws a group of bars per label. Returns one `<svg>` element. */
export function barChart(series: readonly BarSeries[], { labels, xName, width = 520, text }: BarOptions): string {
  const height = AROUND + labels.length * (series.length * BAR_HEIGHT + ROW_GAP);
  const option = {
    animation: false,
    textStyle: FONT,
    grid: { left: 8, right: text === undefined ? 20 : 60, top: 8, bottom: 30, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    xAxis: {
      ...AXIS_STYLE,
      type: 'value',
      // Estimates that are 0 but for noise don't need an axis to the left.
      min: ({ min, max }: { min: number; max: number }) => (min > -0.05 * max ? 0 : undefined),
      name: xName,
      nameLocation: 'middle',
      nameGap: 26,
      axisLabel: { ...FONT, formatter: shortNumber },
    },
    yAxis: { ...AXIS_STYLE, type: 'category', inverse: true, data: labels, axisLabel: { ...FONT, width: 190, overflow: 'truncate' } },
    series: series.flatMap(({ name, colour, bars }, index) => [
      {
        type: 'bar',
        name,
        silent: true,
        barWidth: BAR_HEIGHT - 4,
        barGap: '25%',
        itemStyle: { color: `var(--s${colour % SERIES_COLOURS})`, opacity: 0.75 },
        data: bars.map(({ value }) => value),
        ...(text !== undefined && {
          label: { ...FONT, show: true, position: 'right', formatter: ({ value }: { value: number }) => text(value) },
        }),
      },
      {
        type: 'custom',
        silent: true,
        data: bars.flatMap(({ interval }, row) => (interval === undefined ? [] : [[interval.low, interval.high, row]])),
        encode: { x: [0, 1], y: 2 },
        renderItem: (_: unknown, api: { value(dimension: number): number; coord(point: number[]): number[] }) => {
          const [low = 0, y = 0] = api.coord([api.value(0), api.value(2)]);
          const [high = 0] = api.coord([api.value(1), api.value(2)]);
          const middle = y + (index - (series.length - 1) / 2) * (BAR_HEIGHT - 1);
          const line = (x1: number, y1: number, x2: number, y2: number): object => ({
            type: 'line',
            shape: { x1, y1, x2, y2 },
            style: { stroke: 'var(--ink)', lineWidth: 1.2 },
          });
          const ends = [low, high].map((x) => line(x, middle - 4, x, middle + 4));
          return { type: 'group', children: [line(low, middle, high, middle), ...ends] };
        },
      },
    ]),
  };
  return drawChart(option, { width, height, label: `${xName} of ${labels.join(', ')}` });
}
