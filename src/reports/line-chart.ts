/** @file Line charts. */
import { AXIS_STYLE, CHART_GRID, type ChartOption, drawChart, FONT, SERIES_COLOURS, shortNumber } from './chart-svg.ts';

export interface ChartPoint {
  readonly x: number;
  readonly y: number;
  /** Ends of an error bar. */
  readonly low?: number;
  readonly high?: number;
}

export interface ChartSeries {
  readonly name: string;
  /** Index of the colour; wraps around. */
  readonly colour: number;
  readonly dash?: 'solid' | 'dashed' | 'dotted';
  /** Draws a dot at each point; for a few measured points, not for curves. */
  readonly dots?: boolean;
  readonly points: readonly ChartPoint[];
}

export interface ChartOptions {
  readonly xName: string;
  readonly yName: string;
  readonly yScale?: 'linear' | 'log';
  /** Limits of the axes; taken from the data where absent. */
  readonly xMin?: number;
  readonly xMax?: number;
  readonly yMin?: number;
  readonly yMax?: number;
  /** Texts of axis values. */
  readonly xLabel?: (x: number) => string;
  readonly yLabel?: (y: number) => string;
  readonly width?: number;
  readonly height?: number;
}

/** Draws the series; points that aren't finite (or not positive on a log scale) are left out. Returns one `<svg>` element. */
export function lineChart(series: readonly ChartSeries[], options: ChartOptions): string {
  const { width = 520, height = 280, yScale = 'linear' } = options;
  const drawable = (y: number): boolean => Number.isFinite(y) && (yScale === 'linear' || y > 0);
  const kept = series.map((one) => ({ ...one, points: one.points.filter((point) => drawable(point.y)) }));
  return drawChart(chartOption(kept, options), { width, height, label: `${options.yName} against ${options.xName}` });
}

function chartOption(series: readonly ChartSeries[], options: ChartOptions): ChartOption {
  const { xName, xMin, xMax, yName, yScale = 'linear', yMin, yMax, xLabel, yLabel = shortNumber } = options;
  const xs = series.flatMap((one) => one.points.map((point) => point.x));
  return {
    animation: false,
    textStyle: FONT,
    grid: CHART_GRID,
    xAxis: {
      ...AXIS_STYLE,
      type: 'value',
      name: xName,
      nameLocation: 'middle',
      nameGap: 28,
      min: xMin ?? (xs.length === 0 ? 0 : Math.min(...xs)),
      max: xMax ?? (xs.length === 0 ? 1 : Math.max(...xs, (xMin ?? Math.min(...xs)) + 1e-9)),
      splitLine: { show: false },
      axisLabel: { ...FONT, hideOverlap: true, formatter: xLabel ?? shortNumber },
    },
    yAxis: {
      ...AXIS_STYLE,
      type: yScale === 'log' ? 'log' : 'value',
      name: yName,
      nameLocation: 'end',
      nameGap: 14,
      nameTextStyle: { ...FONT, color: 'var(--muted)', align: 'left', padding: [0, 0, 0, -4] },
      scale: true,
      ...(yMin === undefined ? {} : { min: yMin }),
      ...(yMax === undefined ? {} : { max: yMax }),
      axisLine: { show: false },
      axisLabel: { ...FONT, formatter: yLabel },
    },
    series: series.flatMap((one) => [...errorBars(one), curve(one)]),
  };
}

function colourOf(series: ChartSeries): string {
  return `var(--s${series.colour % SERIES_COLOURS})`;
}

function curve(series: ChartSeries): object {
  const colour = colourOf(series);
  return {
    type: 'line',
    name: series.name,
    silent: true,
    data: series.points.map(({ x, y }) => [x, y]),
    showSymbol: series.dots === true || series.points.length === 1,
    symbol: 'circle',
    symbolSize: 6,
    itemStyle: { color: colour },
    lineStyle: { color: colour, width: 2, type: series.dash ?? 'solid' },
  };
}

function errorBars(series: ChartSeries): object[] {
  const bars = series.points.filter((point) => point.low !== undefined && point.high !== undefined);
  if (bars.length === 0) return [];
  return [
    {
      type: 'custom',
      silent: true,
      data: bars.map(({ x, low, high }) => [x, low, high]),
      encode: { x: 0, y: [1, 2] },
      renderItem: (_: unknown, api: { value(dimension: number): number; coord(point: number[]): number[] }) => {
        const [x = 0, yLow = 0] = api.coord([api.value(0), api.value(1)]);
        const [, yHigh = 0] = api.coord([api.value(0), api.value(2)]);
        const ends: readonly Ends[] = [
          [x, yLow, x, yHigh],
          [x - 4, yLow, x + 4, yLow],
          [x - 4, yHigh, x + 4, yHigh],
        ];
        return { type: 'group', children: ends.map((line) => barLine(line, colourOf(series))) };
      },
    },
  ];
}

type Ends = readonly [x1: number, y1: number, x2: number, y2: number];

function barLine([x1, y1, x2, y2]: Ends, stroke: string): object {
  return { type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke, lineWidth: 1.2, opacity: 0.75 } };
}
