import { execFileSync } from 'node:child_process';
import { test } from 'vitest';

test('monitoring: what is generated from deploy/prometheus and deploy/grafana is up to date', { timeout: 60_000 }, () => {
  execFileSync(process.execPath, ['--import', 'tsx', 'scripts/kubernetes/render-monitoring.ts', '--check'], { encoding: 'utf8' });
});
