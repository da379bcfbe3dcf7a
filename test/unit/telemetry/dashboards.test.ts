import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { DASHBOARDS, dashboardText, UNSHOWN } from '../../../scripts/observability/dashboards/index.ts';
import { knownSeries, metricOf, ownSeries } from '../../../scripts/observability/known-metrics.ts';
import { panelQueries } from '../../../scripts/observability/panel-queries.ts';
import { checkQuery, TARGET_LABELS } from '../../../scripts/observability/promql.ts';
import { readAlertTests, readRules, withRecordings } from '../../../scripts/observability/rules.ts';
import { METRICS, type MetricDescription } from '../../../src/telemetry/index.ts';

const file = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const { recordings, alerts } = readRules();
const catalogue = withRecordings(await knownSeries(), recordings);
const queries = DASHBOARDS.flatMap(panelQueries);
const labelsIn = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, label = '']) => label);

/** What is looked at of the JSON. */
interface DashboardJson {
  readonly templating: { readonly list: readonly object[] };
  readonly panels: readonly {
    readonly id: number;
    readonly type: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
    readonly targets?: readonly object[];
  }[];
}

describe('promql: check of a query', () => {
  const series = new Map([
    ['steps_total', { type: 'counter', labels: new Set<string>() }],
    ['info', { type: 'gauge', labels: new Set(['run']) }],
    ['seconds_bucket', { type: 'bucket', labels: new Set(['le']) }],
    ['workers', { type: 'gauge', labels: new Set(['state']), values: () => new Set(['idle', 'busy']) }],
  ] as const);
  const problems = (expr: string): readonly string[] => checkQuery(expr, series).problems;

  test.each([
    ['rate(steps_total[$__rate_interval]) * on (job, instance) group_left (run) info{run=~"$run"}', ['run', 'job']],
    ['histogram_quantile(0.9, sum by (le) (rate(seconds_bucket[5m])))', []],
    ['sum without (state) (workers{state=~"idle|busy"}) > 2', ['job']],
  ])('accepts %s', (expr, labels) => {
    const checked = checkQuery(expr, series);
    expect(checked.problems).toEqual([]);
    for (const label of labels) expect(checked.labels).toContain(label);
  });

  test.each([
    ['rate(stepz_total[5m])', /unknown metric "stepz_total"/],
    ['info{rum="a"}', /no label "rum"/],
    ['sum by (run) (steps_total)', /"run": by \(run\)/],
    ['rate(info[5m])', /rate\(\) of the gauge "info"/],
    ['delta(steps_total[5m])', /delta\(\) of the counter/],
    ['workers{state="bussy"}', /never "bussy"/],
    ['workers / info', /sides differ in state, run/],
    ['sum(steps_total) * on (job) group_left (run) info', /"job": on\(\)/],
    ['steps_total * on (job) group_left (model) info', /"model": group_left/],
    ['histogram_quantile(0.9, rate(steps_total[5m]))', /"le": histogram_quantile/],
    ['sum(steps_total', /syntax error/],
  ])('refuses %s', (expr, problem) => {
    expect(problems(expr).join('; ')).toMatch(problem);
  });

  test('knows the labels that are left: on() keeps its own alone', () => {
    expect([...checkQuery('workers > on (job) workers', series).labels]).toEqual(['job']);
  });
});

describe('dashboards', () => {
  test('files are those of the description', () => {
    const names = readdirSync(file('deploy/grafana/dashboards')).sort();
    expect(names).toEqual(DASHBOARDS.map(({ uid }) => `${uid}.json`).sort());
    for (const dashboard of DASHBOARDS)
      expect(readFileSync(file(`deploy/grafana/dashboards/${dashboard.uid}.json`), 'utf8')).toBe(dashboardText(dashboard));
  });

  test('have what Grafana needs: uid of their own, no id, variables, places without overlap, queries with ids', () => {
    expect(new Set(DASHBOARDS.map(({ uid }) => uid)).size).toBe(DASHBOARDS.length);
    for (const text of DASHBOARDS) {
      const json = JSON.parse(dashboardText(text)) as DashboardJson;
      expect(json).toMatchObject({ uid: text.uid, id: null, schemaVersion: expect.any(Number), title: text.title, tags: ['deepdefense'] });
      expect(json.templating.list[0]).toMatchObject({ type: 'datasource', name: 'datasource', query: 'prometheus' });
      expect(new Set(json.panels.map(({ id }) => id)).size).toBe(json.panels.length);
      const taken = new Set<string>();
      for (const panel of json.panels) {
        const { x, y, w, h } = panel.gridPos;
        expect(x + w).toBeLessThanOrEqual(24);
        for (let column = x; column < x + w; column += 1)
          for (let line = y; line < y + h; line += 1) {
            expect(taken).not.toContain(`${column},${line}`);
            taken.add(`${column},${line}`);
          }
        if (panel.type === 'row') continue;
        expect(panel).toMatchObject({
          title: expect.any(String),
          description: expect.stringMatching(/\.$/),
          datasource: { uid: '${datasource}' },
        });
        expect(panel.fieldConfig?.defaults.unit).toEqual(expect.any(String));
        expect(panel.targets).not.toEqual([]);
        for (const target of panel.targets ?? []) expect(target).toMatchObject({ refId: expect.any(String), expr: expect.any(String) });
      }
    }
  });

  test.each(queries)('$dashboard / $panel: $expr reads what exists, and its legend too', ({ expr, legend, variables }) => {
    const { problems, labels } = checkQuery(expr, catalogue);
    expect(problems).toEqual([]);
    for (const label of labelsIn(legend, /\{\{(\w+)\}\}/g)) expect([...labels]).toContain(label);
    for (const variable of labelsIn(expr, /\$(?!__)(\w+)/g)) expect(variables).toContain(variable);
  });

  test('variables are values of labels that exist', () => {
    for (const { variables } of DASHBOARDS)
      for (const { metric, valuesOf } of variables)
        expect([...(catalogue.get(metric)?.labels ?? []), ...TARGET_LABELS], metric).toContain(valuesOf);
  });

  test('every documented metric is shown, or is listed with a reason', () => {
    const own = ownSeries();
    const shown = new Set<string>();
    const read = (expr: string): void => {
      for (const series of checkQuery(expr, catalogue).metrics) {
        const recording = recordings.find(({ record }) => record === series);
        if (recording === undefined) shown.add(metricOf(series, own));
        else read(recording.expr);
      }
    };
    for (const { expr } of queries) read(expr);
    const documented = (Object.values(METRICS) as MetricDescription[]).map(({ name }) => name);
    expect(documented.filter((name) => !shown.has(name) && !(name in UNSHOWN))).toEqual([]);
    expect(Object.keys(UNSHOWN).filter((name) => shown.has(name) || !documented.includes(name))).toEqual([]);
  });
});

describe('rules', () => {
  test.each(recordings)('$record reads what exists', ({ record, expr }) => {
    expect(checkQuery(expr, catalogue).problems).toEqual([]);
    expect(record).toMatch(/^(run|sweep):[a-z_]+:[a-z0-9_]+$/);
  });

  test.each(alerts)('$alert reads what exists, and so do its texts', ({ expr, labels, annotations = {} }) => {
    const checked = checkQuery(expr, catalogue);
    expect(checked.problems).toEqual([]);
    expect(['critical', 'warning', 'info']).toContain(labels?.severity);
    for (const label of labelsIn(Object.values(annotations).join(' '), /\$labels\.(\w+)/g)) expect([...checked.labels]).toContain(label);
  });

  test.each(alerts)('$alert has a test in which it fires, one in which it is quiet, and a page', ({ alert, annotations }) => {
    const tests = readAlertTests().filter((one) => one.alert === alert);
    expect(tests.map(({ fires }) => fires)).toEqual(expect.arrayContaining([true, false]));
    expect(annotations?.runbook).toBe(`docs/runbooks/${alert}.md`);
    const page = readFileSync(file(`docs/runbooks/${alert}.md`), 'utf8');
    expect(page).toMatch(new RegExp(`^# ${alert}\n`));
    for (const heading of ['## Look', '## Do']) expect(page).toContain(`\n${heading}\n`);
    expect(readFileSync(file('docs/runbooks/README.md'), 'utf8')).toContain(`(${alert}.md)`);
  });

  test('no page is left of an alert that is gone', () => {
    const pages = readdirSync(file('docs/runbooks')).filter((name) => name !== 'README.md');
    expect(pages.sort()).toEqual(alerts.map(({ alert }) => `${alert}.md`).sort());
  });
});
