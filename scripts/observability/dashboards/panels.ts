/** @file The kinds of panels that our dashboards have, each with one look: built with Grafana's own builders, so that the JSON is what it expects. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  BigValueColorMode,
  BigValueGraphMode,
  type DataSourceRef,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as HeatmapBuilder } from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as LinesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

export const DATASOURCE: DataSourceRef = { type: 'prometheus', uid: '${datasource}' };

/** Units of Grafana that we use. */
export type Unit = 's' | 'bytes' | 'Bps' | 'percentunit' | 'percent' | 'short' | 'none' | 'reqps' | 'celsius' | 'watt' | 'dateTimeFromNow';

/** One query: PromQL, and the legend with `{{label}}`. */
export type Query = readonly [expr: string, legend: string];

export interface PanelText {
  readonly title: string;
  /** What is shown, and what is normal. */
  readonly description: string;
  readonly unit: Unit;
}

/** Steps of colour: from 0 green, from the first value on yellow, from the second on red; `rising: false` the other way round. */
export interface Limits {
  readonly values: readonly [number, number];
  readonly rising: boolean;
}

/** Colours of states, the same on every dashboard. */
const COLOURS: Readonly<Record<string, string>> = {
  useful: 'green',
  busy: 'green',
  committed: 'green',
  measured: 'green',
  completed: 'green',
  current: 'green',
  training: 'green',
  recomputed: 'red',
  failed: 'red',
  offline: 'red',
  lost: 'red',
  diverged: 'red',
  stragglers: 'orange',
  lagging: 'orange',
  coordinator: 'blue',
  starting: 'blue',
  checkpointing: 'purple',
  evaluation: 'light-blue',
  attacking: 'light-blue',
  preparing: 'yellow',
  joining: 'yellow',
  waiting: 'yellow',
  idle: 'text',
};

/** A number, its newest value; goes into the row at the top. */
export function stat({ title, description, unit }: PanelText, queries: readonly Query[], limits?: Limits): Builder<Panel> {
  const panel = new StatBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .span(4)
    .height(4)
    .graphMode(BigValueGraphMode.Area)
    .colorMode(limits === undefined ? BigValueColorMode.None : BigValueColorMode.Value)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholds(limits))
    .noValue('–');
  queries.forEach((query, i) => panel.withTarget(target(query, i)));
  return panel;
}

export interface LinesOptions {
  /** Columns of 24; default 12. */
  readonly width?: number;
  /** Areas on each other, for parts of a whole. */
  readonly stacked?: boolean;
  readonly max?: number;
  readonly limits?: Limits;
}

/** Lines over time, with the newest and largest value of each in the legend. */
export function lines({ title, description, unit }: PanelText, queries: readonly Query[], options: LinesOptions = {}): Builder<Panel> {
  const panel = new LinesBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .min(0)
    .span(options.width ?? 12)
    .height(8)
    .showPoints(VisibilityMode.Never)
    .fillOpacity(options.stacked ? 60 : 8)
    .thresholds(thresholds(options.limits))
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(['lastNotNull', 'max']),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));
  if (options.stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (options.max !== undefined) panel.max(options.max);
  queries.forEach((query, i) => panel.withTarget(target(query, i)));
  for (const [state, colour] of Object.entries(COLOURS)) {
    const color = new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(colour).build();
    if (queries.some(([, legend]) => /\{\{(state|outcome)\}\}/.test(legend))) panel.overrideByName(state, [{ id: 'color', value: color }]);
  }
  return panel;
}

/** Lines that may go below 0. */
export function signedLines(text: PanelText, queries: readonly Query[], width = 12): Builder<Panel> {
  return (lines(text, queries, { width }) as LinesBuilder).min(null as unknown as number);
}

/** Buckets of a histogram over time; the query sums rates by `le`. */
export function heatmap({ title, description, unit }: PanelText, expr: string): Builder<Panel> {
  const query = target([expr, '{{le}}'], 0).format(PromQueryFormat.Heatmap).exemplar(true);
  return new HeatmapBuilder()
    .title(title)
    .description(description)
    .datasource(DATASOURCE)
    .unit(unit)
    .span(12)
    .height(8)
    .calculate(false)
    .withTarget(query);
}

/** One row per series, with its labels; one column per query. */
export function table({ title, description, unit }: PanelText, queries: readonly Query[], width = 24): Builder<Panel> {
  const panel = new TableBuilder().title(title).description(description).datasource(DATASOURCE).unit(unit).span(width).height(8);
  queries.forEach((query, i) => panel.withTarget(target(query, i).instant().format(PromQueryFormat.Table)));
  if (queries.length > 1) panel.withTransformation({ id: 'merge', options: {} });
  panel.withTransformation({
    id: 'organize',
    options: {
      excludeByName: { Time: true },
      renameByName: Object.fromEntries(queries.map(([, legend], i) => [queries.length > 1 ? `Value #${refId(i)}` : 'Value', legend])),
    },
  });
  return panel;
}

function target([expr, legend]: Query, i: number): DataqueryBuilder {
  return new DataqueryBuilder().datasource(DATASOURCE).refId(refId(i)).expr(expr).legendFormat(legend).range();
}

function refId(i: number): string {
  return String.fromCharCode(65 + i);
}

function thresholds(limits: Limits | undefined): ThresholdsConfigBuilder {
  const [first, last] = limits?.rising === false ? ['red', 'green'] : ['green', 'red'];
  const steps =
    limits === undefined
      ? []
      : [
          { value: limits.values[0], color: 'yellow' },
          { value: limits.values[1], color: last },
        ];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([{ value: null, color: first }, ...steps]);
}
