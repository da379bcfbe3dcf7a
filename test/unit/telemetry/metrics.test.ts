import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import {
  createMetrics,
  METRICS,
  METRICS_ROLES,
  createSweepWorkerMetrics,
  type MetricDescription,
  metricsDocs,
  recordGfaMetrics,
  STEP_PHASES,
} from '../../../src/telemetry/index.ts';

const table = Object.values(METRICS) as MetricDescription[];

describe('metrics', () => {
  it('names: follow the rules of Prometheus', () => {
    for (const { name, type, labels } of table) {
      expect(name).toMatch(/^deepdefense_[a-z_]+$/);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      expect(name, name).not.toMatch(/_(ms|milliseconds|kb|mb|percent|count|sum|bucket)$/);
      for (const label of labels) expect(label).toMatch(/^[a-z_]+$/);
    }
    expect(new Set(table.map(({ name }) => name)).size).toBe(table.length);
    expect(table.filter(({ type, buckets }) => (type === 'histogram') !== (buckets !== undefined))).toEqual([]);
  });

  it('process: exports the metrics of its role only', async () => {
    for (const role of METRICS_ROLES) {
      const text = await createMetrics(role, { processMetrics: false }).render();
      for (const { name, roles } of table) expect(text.includes(`# HELP ${name} `), `${role} ${name}`).toBe(roles.includes(role));
      expect(text).toContain(`role="${role}"`);
    }
  });

  it('handles: count what they are given, in a registry of their own', async () => {
    const metrics = createMetrics('coordinator', { processMetrics: false });
    metrics.steps.inc();
    metrics.steps.inc();
    metrics.refusals.inc({ code: 'PROTOCOL_STALE_LEASE' }, 3);
    metrics.workers.set({ state: 'idle' }, 2);
    metrics.stepPhaseSeconds.observe({ phase: 'reduce' }, 0.003);
    const text = await metrics.render();
    expect(text).toContain('deepdefense_steps_total 2\n');
    expect(text).toContain('deepdefense_refusals_total{code="PROTOCOL_STALE_LEASE"} 3\n');
    expect(text).toContain('deepdefense_workers{state="idle"} 2\n');
    expect(text).toContain('deepdefense_step_phase_seconds_bucket{le="0.002",phase="reduce"} 0\n');
    expect(text).toContain('deepdefense_step_phase_seconds_bucket{le="0.004",phase="reduce"} 1\n');
    expect(await createMetrics('coordinator', { processMetrics: false }).render()).toContain('deepdefense_steps_total 0\n');
    expect(STEP_PHASES).toHaveLength(6);
  });

  it('exemplars: name run, trial and trace in OpenMetrics only, however long the names are', async () => {
    const metrics = createMetrics('coordinator', { processMetrics: false });
    metrics.stepSeconds.observe({}, 0.5);
    metrics.exemplars.set({ run: 'deep-1', trial: 'a1' });
    metrics.stepPhaseSeconds.observe({ phase: 'reduce' }, 0.003, { trace_id: '0af7651916cd43dd8448eb211c80319c' });
    metrics.checkpointSeconds.observe({}, 1000);
    metrics.exemplars.set({ run: 'r'.repeat(200), trial: undefined });
    metrics.evaluationSeconds.observe({ attack: 'clean' }, 0.02);
    const { text } = await metrics.scrape('application/openmetrics-text');
    const exemplarOf = (line: string) =>
      text
        .split('\n')
        .find((each) => each.startsWith(line))
        ?.split(' # ')[1];
    expect(exemplarOf('deepdefense_step_seconds_bucket{le="0.64"')).toBeUndefined();
    expect(exemplarOf('deepdefense_step_phase_seconds_bucket{le="0.004",phase="reduce"')).toMatch(
      /^\{trace_id="0af7651916cd43dd8448eb211c80319c",run="deep-1",trial="a1"\} 0\.003 \d+\.?\d*$/,
    );
    expect(exemplarOf('deepdefense_checkpoint_seconds_bucket{le="+Inf"')).toMatch(/^\{run="deep-1",trial="a1"\} 1000 /);
    expect(exemplarOf('deepdefense_evaluation_seconds_bucket{le="0.02"')).toMatch(/^\{run="r{125}"\} 0\.02 /);
    expect(await metrics.render()).not.toContain(' # ');
  });

  it('worker of a sweep: shows training without what is unbounded over trials, and counts the rest unseen', async () => {
    const metrics = createSweepWorkerMetrics({ processMetrics: false });
    metrics.trial.runInfo.set({ run: 'trial-1', strategy: 'plain', model: 'm', dataset: 'd', engine: 'onnx' }, 1);
    metrics.trial.steps.inc(3);
    metrics.compute.taskSeconds.observe({ kind: 'train' }, 0.1);
    const text = await metrics.render();
    expect(text).toContain('deepdefense_steps_total 3\n');
    expect(text).toContain('deepdefense_worker_task_seconds_count{kind="train"} 1\n');
    expect(text).toContain('deepdefense_sweep_worker_sweeps 0\n');
    expect(text).not.toContain('trial-1');
  });

  it('process metrics: come without the three that are misnamed', async () => {
    const text = await createMetrics('worker').render();
    expect(text).toContain('process_resident_memory_bytes');
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
    expect(text).not.toMatch(/# TYPE nodejs_active_\w+_total/);
    const gauges = [...text.matchAll(/# TYPE (\S+) gauge/g)].map((match) => match[1] as string);
    expect(gauges.filter((name) => name.endsWith('_total'))).toEqual([]);
  });

  it('GFA: step metrics become gauges by layer', async () => {
    const metrics = createMetrics('coordinator', { processMetrics: false });
    recordGfaMetrics(metrics, {
      loss: 1,
      'gfa/conv1/term': 0.5,
      'gfa/conv2/absCosine': 0.25,
      'gfa/input/zeroGradient': 0.125,
      'gfa/conv1/other': 9,
    });
    const text = await metrics.render();
    expect(text).toContain('deepdefense_gfa_term{layer="conv1"} 0.5\n');
    expect(text).toContain('deepdefense_gfa_abs_cosine{layer="conv2"} 0.25\n');
    expect(text).toContain('deepdefense_gfa_zero_gradient_ratio{layer="input"} 0.125\n');
    expect(text).not.toContain(' 9\n');
  });

  it('docs: have one row per metric and docs/metrics.md is up to date', async () => {
    const docs = metricsDocs();
    for (const { name } of table) expect(docs.split('\n').filter((line) => line.startsWith(`| \`${name}\` |`))).toHaveLength(1);
    expect(await readFile(new URL('../../../docs/metrics.md', import.meta.url), 'utf8')).toBe(docs);
  });
});
