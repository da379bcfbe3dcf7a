/**
 * @file Writes deploy/grafana/dashboards from scripts/observability/dashboards.
 *
 * Usage: node --import tsx scripts/observability/build-dashboards.ts [--check]     --check: exits with 1 when a file differs, and writes nothing
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DASHBOARDS, dashboardText } from './dashboards/index.ts';

const FOLDER = new URL('../../deploy/grafana/dashboards/', import.meta.url);
const isCheck = process.argv.includes('--check');

for (const dashboard of DASHBOARDS) {
  const file = fileURLToPath(new URL(`${dashboard.uid}.json`, FOLDER));
  const text = dashboardText(dashboard);
  if (!isCheck) writeFileSync(file, text);
  else if (readOr(file, '') !== text) {
    console.error(`${dashboard.uid}.json is out of date: node --import tsx scripts/observability/build-dashboards.ts`);
    process.exitCode = 1;
  }
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}
