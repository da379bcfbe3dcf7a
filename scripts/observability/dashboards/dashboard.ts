/** @file A dashboard: rows of panels, variables, links to the others and our alerts as annotations; and its text as a file. */
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DATASOURCE } from './panels.ts';

export interface Variable {
  readonly name: string;
  readonly label: string;
  /** The metric and its label whose values may be chosen; several at a time, or all. */
  readonly metric: string;
  readonly valuesOf: string;
}

export interface DashboardText {
  /** `deepdefense-NAME`; also the name of its file. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly { readonly title: string; readonly panels: readonly Builder<Panel>[] }[];
}

/** Variables that several dashboards have. */
export const RUN: Variable = { name: 'run', label: 'Run', metric: 'deepdefense_run_info', valuesOf: 'run' };
export const SWEEP: Variable = { name: 'sweep', label: 'Sweep', metric: 'deepdefense_sweep_info', valuesOf: 'sweep' };
export const INSTANCE: Variable = { name: 'instance', label: 'Process', metric: 'deepdefense_build_info', valuesOf: 'instance' };

/** The series of the chosen runs, with the label `run`. */
export function ofRun(expr: string): string {
  return `${expr} * on (job, instance) group_left (run) deepdefense_run_info{run=~"$run"}`;
}

/** The series of the chosen sweeps, with the label `sweep`. */
export function ofSweep(expr: string): string {
  return `${expr} * on (job, instance) group_left (sweep) deepdefense_sweep_info{sweep=~"$sweep"}`;
}

/** Grafana's classic JSON. */
export function buildDashboard({ uid, title, description, variables, rows }: DashboardText): Dashboard {
  const dashboard = new DashboardBuilder(title)
    .uid(uid)
    .id(null as unknown as number)
    .description(description)
    .tags(['deepdefense'])
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh('10s')
    .time({ from: 'now-1h', to: 'now' })
    .link(new DashboardLinkBuilder('deepdefense').type(DashboardLinkType.Dashboards).tags(['deepdefense']).asDropdown(true).keepTime(true))
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'));
  dashboard.annotation(
    new AnnotationQueryBuilder()
      .name('Alerts')
      .datasource(DATASOURCE)
      .enable(true)
      .iconColor('red')
      .expr('ALERTS{alertname=~"DeepDefense.*", alertstate="firing"}'),
  );
  for (const { name, label, metric, valuesOf } of variables) {
    dashboard.withVariable(
      new QueryVariableBuilder(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({ query: `label_values(${metric}, ${valuesOf})`, refId: name })
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .sort(VariableSort.AlphabeticalAsc)
        .multi(true)
        .includeAll(true)
        .allValue('.*')
        .current({ text: 'All', value: '$__all' }),
    );
  }
  let id = 0;
  for (const { title: row, panels } of rows) {
    dashboard.withRow(new RowBuilder(row).id(++id));
    for (const panel of panels) dashboard.withPanel({ build: () => ({ ...panel.build(), id: ++id }) });
  }
  return dashboard.build();
}

/** Text of the file. */
export function dashboardText(text: DashboardText): string {
  return `${JSON.stringify(buildDashboard(text), null, 2)}\n`;
}
