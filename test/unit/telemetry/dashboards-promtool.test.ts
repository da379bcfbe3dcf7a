import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { DASHBOARDS } from '../../../scripts/observability/dashboards/index.ts';
import { panelQueries } from '../../../scripts/observability/panel-queries.ts';
import { withoutGrafanaMacros } from '../../../scripts/observability/promql.ts';
import { PROMETHEUS_FOLDER } from '../../../scripts/observability/rules.ts';
import { PROMETHEUS, PROMETHEUS_SKIPPED } from '../../support/prometheus.ts';

/** Standard output; the error has what promtool says. */
async function promtool(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(join(PROMETHEUS ?? '', 'promtool'), args, { cwd: PROMETHEUS_FOLDER });
  return stdout;
}

describe.skipIf(PROMETHEUS === undefined)(`promtool${PROMETHEUS_SKIPPED}`, { timeout: 600_000 }, () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'promtool-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('takes configuration and rules', async () => {
    expect(await promtool('check', 'config', 'prometheus.yml')).toContain('SUCCESS');
  });

  test('every alert fires when it should, and only then', async () => {
    const files = (await readdir(join(PROMETHEUS_FOLDER, 'tests'))).map((name) => `tests/${name}`);
    expect(files.length).toBeGreaterThan(0);
    await promtool('test', 'rules', ...files);
  });

  test('every query of every panel parses', async () => {
    const queries = DASHBOARDS.flatMap(panelQueries);
    const rules = queries.map(({ expr }, i) => ({ record: `panel:query:${i}`, expr: withoutGrafanaMacros(expr) }));
    const file = join(folder, 'panels.yml');
    await writeFile(file, stringify({ groups: [{ name: 'panels', rules }] }));
    expect(await promtool('check', 'rules', file)).toContain(`${queries.length} rules found`);
  });
});
