/** @file The queries of a dashboard's panels, one by one. */
import { buildDashboard, type DashboardText } from './dashboards/index.ts';

export interface PanelQuery {
  readonly dashboard: string;
  readonly panel: string;
  readonly expr: string;
  readonly legend: string;
  /** Names of the variables that the dashboard has. */
  readonly variables: readonly string[];
}

/** In the order of the panels. */
export function panelQueries(text: DashboardText): PanelQuery[] {
  const variables = ['datasource', ...text.variables.map(({ name }) => name)];
  return (buildDashboard(text).panels ?? []).flatMap((panel) => {
    const targets = 'targets' in panel ? (panel.targets ?? []) : [];
    return targets.map((target) => {
      const { expr, legendFormat = '' } = target as unknown as { expr: string; legendFormat?: string };
      return { dashboard: text.title, panel: panel.title ?? '', expr, legend: legendFormat, variables };
    });
  });
}
