import { describe, expect, it } from 'vitest';
import { scrapeWithWorkers } from '../../../src/coordinator/pool-metrics.ts';
import { watchPool } from '../../../src/coordinator/pool-watcher.ts';
import { WorkerGauges } from '../../../src/coordinator/worker-gauges.ts';
import type { WorkerLink } from '../../../src/coordinator/worker-link.ts';
import { WorkerPool } from '../../../src/coordinator/worker-pool.ts';
import type { ParameterSnapshot } from '../../../src/coordinator/parameter-snapshot.ts';
import { PACKAGE_VERSION, PROTOCOL_VERSION, systemClock } from '../../../src/core/index.ts';
import { createLogger, createMetrics } from '../../../src/telemetry/index.ts';

/** Series by metric, buckets of a histogram left out. */
function seriesOf(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of text.split('\n')) {
    const name = /^(deepdefense_\w+?)(?:_count|_sum)?(?:\{|\s)/.exec(line)?.[1];
    if (name !== undefined && !line.startsWith('#') && !line.includes('_bucket')) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

describe('cardinality', () => {
  it('coordinator: has no more series after a thousand workers have come, worked and gone than its present ones need', async () => {
    const metrics = createMetrics('coordinator', { processMetrics: false });
    const gauges = new WorkerGauges(metrics);
    const logger = createLogger({ level: 'silent' });
    const { observer } = watchPool({
      ...{
        metrics,
        gauges,
        logger,
        report: () => {},
        samplesOf: () => 32,
        ledger: { record: () => {} },
        emit: () => {},
        onWaiting: () => {},
      },
      ...{ readyWorkers: () => pool.membership.ready().length, address: () => '' },
    });
    const pool = new WorkerPool<ParameterSnapshot>({
      ...{ clock: systemClock, leaseMs: 1e6, stepDeadlineMs: 1e7, workersLostMs: 1e7, observer },
      ...{ encodeParameters: () => ({ messages: [], byteLength: 0 }) as unknown as ParameterSnapshot },
      identity: { schemaHash: 's', datasetHash: 'd' },
      welcome: {
        ...{ runId: 'r', configJson: '{}', schemaHash: 's', datasetHash: 'd', heartbeatMs: 1000, trainSamples: 1, evaluationJson: '' },
      },
    });
    const link = { send: () => {}, sendParameters: () => {}, close: () => {} } as unknown as WorkerLink<ParameterSnapshot>;
    const join = (workerId: string): number => {
      const id = pool.connect(link);
      pool.receive(id, {
        kind: 'hello',
        message: { workerId, protocolVersion: PROTOCOL_VERSION, packageVersion: PACKAGE_VERSION, host: workerId, processId: 1 },
      });
      const ready = { schemaHash: 's', datasetHash: 'd', engineFingerprint: 'e', metricNames: ['loss'], captureMs: 1, compileMs: 1 };
      pool.receive(id, { kind: 'ready', message: ready });
      gauges.answered(workerId, 32, 10);
      gauges.memory(workerId, 1e8);
      return id;
    };
    for (let i = 0; i < 8; i++) join(`stays-${i}`);
    const before = seriesOf((await scrapeWithWorkers(metrics, pool, '')).text);
    expect(before.get('deepdefense_worker_samples_per_second')).toBe(8);
    for (let i = 0; i < 1000; i++) {
      const id = join(`goes-${i}`);
      if (i % 2 === 0) pool.disconnect(id, 'gone');
      else pool.receive(id, { kind: 'goodbye', reason: 'enough' });
    }
    const after = seriesOf((await scrapeWithWorkers(metrics, pool, '')).text);
    for (const name of ['samples_per_second', 'resident_bytes', 'last_heartbeat_timestamp_seconds'])
      expect(after.get(`deepdefense_worker_${name}`), name).toBe(8);
    expect(Math.max(...after.values())).toBeLessThanOrEqual(16);
    pool.finish('completed', '');
  });
});
