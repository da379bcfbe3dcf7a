/** @file A real Prometheus scrapes a run and a sweep, and answers queries about them; promtool finds nothing to complain of. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/telemetry/index.ts';
import { checkMetrics, type Prometheus, PROMETHEUS, PROMETHEUS_SKIPPED, startPrometheus } from '../support/prometheus.ts';
import { TestCluster, tinyConfig } from './support/cluster.ts';
import { CommandFolder } from './support/command.ts';
import { freePort } from './support/processes.ts';
import { writeSweep } from './support/sweeps.ts';

const SWEEP = `
name: scraped
config:
  data: {source: synthetic, trainSamples: 640, testSamples: 100}
  model: {name: cnn3}
  train: {batchSize: 32}
  evaluation: {epsLinf: [0.03], robustSamples: 20, attacks: [fgsm]}
space:
  optimizer.learningRate: {type: log-float, low: 0.0001, high: 0.01}
objectives: [{name: clean-accuracy}]
rungs: [{epochs: 1}]
sampler: {name: random}
scheduler: {name: asha}
budget: {candidates: 500}
`;

let cluster: TestCluster;
let folder: CommandFolder;
let prometheus: Prometheus | undefined;
beforeEach(async () => {
  cluster = await TestCluster.create();
  folder = await CommandFolder.create();
});
afterEach(async () => {
  await prometheus?.close();
  prometheus = undefined;
  await cluster.close();
  await folder.close();
});

const pageOf = async (base: string) => (await fetch(`${base}/metrics`)).text();
const hostOf = (url: string) => new URL(url).host;

describe.skipIf(PROMETHEUS === undefined)(`Prometheus${PROMETHEUS_SKIPPED}`, () => {
  it('run: is scraped with its workers, with exemplars that name it', { timeout: 180_000 }, async () => {
    const config = tinyConfig({
      train: { epochs: 1_000 },
      evaluation: { everyEpochs: 1_000 },
      cluster: { minWorkers: 2, leaseMs: 5_000, stepDeadlineMs: 20_000 },
    });
    const handle = await cluster.start(config, { metrics: createMetrics('coordinator') });
    const port = await freePort();
    cluster.worker({ blockMs: 5 }, { metrics: createMetrics('worker'), httpPort: port });
    cluster.worker({ blockMs: 60 });
    await cluster.event('step', ({ step }) => step >= 3);
    const worker = `127.0.0.1:${port}`;
    prometheus = await startPrometheus({ coordinator: hostOf(handle.httpUrl), worker });
    await prometheus.waitFor('deepdefense_step{job="coordinator"} > 10');
    await prometheus.waitFor('histogram_quantile(0.5, sum by (le) (rate(deepdefense_step_straggler_seconds_bucket[30s]))) > 0.01');
    await prometheus.waitFor('rate(deepdefense_worker_task_seconds_count{job="worker",kind="train"}[30s]) > 0');
    expect(await prometheus.query('deepdefense_worker_samples_per_second')).toHaveLength(2);
    expect(await prometheus.query('deepdefense_grpc_server_open_calls{method="Work"} == 2')).toHaveLength(1);
    expect(await prometheus.query('deepdefense_ledger_gap_samples == 0')).toHaveLength(1);
    expect(await prometheus.query('deepdefense_ledger_samples == deepdefense_step * 16')).toHaveLength(1);
    expect(await prometheus.query('sum(rate(deepdefense_worker_seconds_total{state="useful"}[30s])) > 0')).toHaveLength(1);
    const series = await prometheus.exemplars('deepdefense_step_seconds_bucket');
    expect(series[0]?.exemplars[0]?.labels).toEqual({ run: 'run-1' });
    const behind = await prometheus.exemplars('deepdefense_step_straggler_seconds_bucket');
    expect(behind[0]?.exemplars[0]?.labels.worker).toMatch(/.+-\d+-[0-9a-f]{6}$/);
    expect(checkMetrics(await pageOf(handle.httpUrl))).toBe('');
    expect(checkMetrics(await pageOf(`http://${worker}`))).toBe('');
    await handle.stop('enough');
  });

  it('sweep: is scraped with its worker, whose training names the trial in exemplars only', { timeout: 300_000 }, async () => {
    const file = await writeSweep(folder, SWEEP);
    const [sweepPort, workerPort] = [await freePort(), await freePort()];
    const sweep = folder.start('sweep', '-c', file, '--out', 'out', '--workers', '0', '--http-port', String(sweepPort));
    const address = /coordinator on (\S+),/.exec(await sweep.seen(/coordinator on \S+,/))?.[1] ?? '';
    const worker = folder.start('worker', '--sweep', address, '--http-port', String(workerPort));
    await worker.seen('metrics are served');
    prometheus = await startPrometheus({ sweep: `127.0.0.1:${sweepPort}`, worker: `127.0.0.1:${workerPort}` });
    await prometheus.waitFor('deepdefense_sweep_claims_total{outcome="committed"} >= 2');
    await prometheus.waitFor('deepdefense_sweep_worker_trials_total{outcome="measured"} >= 2');
    for (const state of ['starting', 'training', 'attacking'])
      expect(await prometheus.query(`deepdefense_sweep_worker_seconds_total{state="${state}"} > 0`), state).toHaveLength(1);
    expect(await prometheus.query('deepdefense_steps_total{job="worker"} >= 40')).toHaveLength(1);
    expect(await prometheus.query('deepdefense_worker_device_info{job="worker",engine="onnx:cpu"}')).toHaveLength(1);
    expect(await prometheus.query('deepdefense_journal_lines_total{job="sweep"} > 5')).toHaveLength(1);
    expect(await prometheus.query('deepdefense_grpc_server_calls_total{method="Claim",code="OK"} >= 2')).toHaveLength(1);
    const [training] = await prometheus.exemplars('deepdefense_step_seconds_bucket{job="worker"}');
    expect(training?.exemplars[0]?.labels.trial).toMatch(/^[0-9a-f]{16}$/);
    for (const port of [sweepPort, workerPort]) {
      const page = await pageOf(`http://127.0.0.1:${port}`);
      expect(checkMetrics(page)).toBe('');
      expect(page).not.toMatch(/trial="/);
    }
    expect(await (await fetch(`http://127.0.0.1:${workerPort}/readyz`)).text()).toContain('ready: connected');
    worker.child.kill('SIGTERM');
    expect((await worker.done).code).toBe(0);
    sweep.child.kill('SIGTERM');
    await sweep.done;
  });
});
