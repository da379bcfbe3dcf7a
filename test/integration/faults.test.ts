/** @file Faults on real streams: dead, frozen, late and foreign workers; ports; data; a coordinator that goes away. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startCoordinator } from '../../src/coordinator/index.ts';
import { createMetrics } from '../../src/telemetry/index.ts';
import { logger, TestCluster, tinyConfig, tinyDataset } from './support/cluster.ts';
import { type FakeOptions, parameterCount } from './support/fake-computer.ts';
import { freePort } from './support/processes.ts';
import { RawWorker } from './support/raw-worker.ts';

let cluster: TestCluster;
const raws: RawWorker[] = [];
beforeEach(async () => {
  cluster = await TestCluster.create();
});
afterEach(async () => {
  for (const raw of raws.splice(0)) raw.kill();
  await cluster.close();
});

function raw(address: string): RawWorker {
  const worker = new RawWorker(address);
  raws.push(worker);
  return worker;
}

async function referenceHash(): Promise<string> {
  const other = await TestCluster.create();
  const handle = await other.start(tinyConfig());
  other.worker();
  const { weightsSha256 } = await handle.result;
  await other.close();
  return weightsSha256;
}

/** A raw worker that has joined a run with one fake worker and holds shards of some step. */
async function holdShards(options: FakeOptions = { blockMs: 10 }): Promise<{
  readonly zombie: RawWorker;
  readonly task: Extract<Awaited<ReturnType<RawWorker['receive']>>, { body: 'trainTask' }>['trainTask'];
}> {
  const handle = await cluster.start(tinyConfig());
  cluster.worker(options);
  await cluster.event('step');
  const zombie = raw(handle.grpcAddress);
  zombie.hello();
  await zombie.receive('welcome');
  zombie.ready();
  const { trainTask: task } = await zombie.receive('trainTask');
  return { zombie, task };
}

describe('a lost worker', () => {
  it('has its shards computed by another when its stream breaks', async () => {
    const expected = await referenceHash();
    const { zombie } = await holdShards();
    zombie.kill();
    const result = await cluster.handle?.result;
    expect(result?.weightsSha256).toBe(expected);
    expect(result?.workers).toMatchObject({ left: 1, leasesExpired: 1 });
    expect((await cluster.journal()).find(({ type }) => type === 'lease-expired')).toMatchObject({
      workerId: 'raw',
      reason: 'lost',
      leaseEpoch: 1,
    });
  });

  it('is told PROTOCOL_STALE_LEASE when it answers after its lease was given away', async () => {
    const expected = await referenceHash();
    // The other worker is busy with its half when the zombie loses the other half, else it would help before.
    const onBlock = async (_step: number, { count }: { readonly count: number }) => {
      await new Promise((resolve) => setTimeout(resolve, count === 4 ? 450 : 10));
    };
    const { zombie, task } = await holdShards({ onBlock });
    // Silent for longer than leaseMs = 300; then the late answer comes, with a gradient that would change the weights.
    const cancel = await zombie.receive('cancelTask');
    expect(cancel.cancelTask.taskId).toBe(task.taskId);
    zombie.answer(task, task.blocks[0] as { first: number; count: number }, new Float32Array(parameterCount(tinyConfig())).fill(1e6));
    const refused = await zombie.receive('answerRefused');
    expect(refused.answerRefused).toMatchObject({ taskId: task.taskId, code: 'PROTOCOL_STALE_LEASE' });
    const result = await cluster.handle?.result;
    expect(result?.weightsSha256).toBe(expected);
    expect(result?.workers.answersRefused).toBe(1);
    expect(await cluster.metrics.render()).toContain('deepdefense_refusals_total{code="PROTOCOL_STALE_LEASE"} 1');
  });

  it('is superseded without a word when an idle worker was faster with its shards', async () => {
    const expected = await referenceHash();
    const { zombie, task } = await holdShards();
    expect((await zombie.receive('cancelTask')).cancelTask.taskId).toBe(task.taskId);
    zombie.answer(task, task.blocks[0] as { first: number; count: number }, new Float32Array(parameterCount(tinyConfig())).fill(1e6));
    const result = await cluster.handle?.result;
    expect(result?.weightsSha256).toBe(expected);
    expect(result?.workers).toMatchObject({ leasesExpired: 0, answersRefused: 0 });
    expect(await cluster.metrics.render()).toContain('deepdefense_answers_superseded_total 1');
    expect((await cluster.journal()).find(({ type }) => type === 'lease-expired')).toBeUndefined();
    expect(result?.goodput.seconds.useful).toBeGreaterThan(0);
    expect(result?.goodput.seconds.recomputed).toBeGreaterThan(0);
  });

  it('is refused when its gradient has another length or its block is none of the task', async () => {
    const { zombie, task } = await holdShards();
    zombie.answer(task, { first: task.blocks[0]?.first ?? 0, count: 99 }, new Float32Array(parameterCount(tinyConfig())));
    expect((await zombie.receive('refusal')).refusal).toMatchObject({ code: 'PROTOCOL_BAD_MESSAGE', retry: false });
    expect((await cluster.handle?.result)?.state).toBe('completed');
  });
});

describe('a foreign worker', () => {
  it.each([
    ['PROTOCOL_VERSION', { protocolVersion: 99 }, {}],
    ['PROTOCOL_VERSION', { packageVersion: '0.0.1' }, {}],
    ['PROTOCOL_SCHEMA', {}, { schemaHash: 'other' }],
    ['PROTOCOL_SCHEMA', {}, { metricNames: ['loss'] }],
    ['PROTOCOL_FINGERPRINT', {}, { engineFingerprint: 'other engine' }],
    ['DATA_CHECKSUM', {}, { datasetHash: 'other' }],
  ])('is refused with %s when it says %j %j', async (code, hello, ready) => {
    const handle = await cluster.start(tinyConfig());
    cluster.worker({ blockMs: 30 });
    await cluster.event('step');
    const foreign = raw(handle.grpcAddress);
    foreign.hello(hello);
    if (code !== 'PROTOCOL_VERSION') {
      await foreign.receive('welcome');
      foreign.ready(ready);
    }
    expect((await foreign.receive('refusal')).refusal).toMatchObject({ code, retry: false });
  });

  it('ends with the code of the refusal when it runs the supervisor', async () => {
    await cluster.start(tinyConfig());
    cluster.worker({ blockMs: 30 });
    await cluster.event('step');
    await expect(cluster.worker({ fingerprint: 'other engine' }).exit).rejects.toMatchObject({ code: 'PROTOCOL_FINGERPRINT', exitCode: 8 });
  });
});

describe('a failing worker', () => {
  it('ends with its error while the others finish the run', async () => {
    const expected = await referenceHash();
    const handle = await cluster.start(tinyConfig());
    cluster.worker({ blockMs: 10 });
    const failing = cluster.worker({
      onBlock: (step) => {
        if (step >= 3) throw new Error('no memory');
      },
    });
    await expect(failing.exit).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect((await handle.result).weightsSha256).toBe(expected);
  });
});

describe('a worker without a coordinator', () => {
  it('ends with CONNECT_FAILED when none answers in time', async () => {
    await cluster.start(tinyConfig());
    const exit = cluster.worker({}, { coordinatorAddress: '127.0.0.1:1', connectTimeoutMs: 600 }).exit;
    await expect(exit).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  });

  it('waits for one and re-attaches when it is started again', async () => {
    const expected = await referenceHash();
    const port = 20_000 + (process.pid % 20_000);
    const config = tinyConfig({ cluster: { port } });
    const worker = cluster.worker({ blockMs: 15 }, { coordinatorAddress: `127.0.0.1:${port}` });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const handle = await cluster.start(config);
    const result = await handle.result;
    expect(result.weightsSha256).toBe(expected);
    expect(await worker.exit).toBe('completed');
  });
});

describe('a coordinator', () => {
  it('records its start before a worker that was ready earlier, and keeps what it tells for a reader that comes later', async () => {
    const port = await freePort();
    const faults = join(cluster.folder, 'disk-faults.json');
    vi.stubEnv('DEEPDEFENSE_DISK_FAULTS', faults);
    // It listens, and then is slow to write config and hashes of samples.
    await writeFile(faults, JSON.stringify({ delayMs: 2_000 }));
    const starting = cluster.start(tinyConfig({ cluster: { port } }));
    cluster.worker({}, { coordinatorAddress: `127.0.0.1:${port}` });
    const handle = await starting;
    await rm(faults);
    vi.unstubAllEnvs();
    await handle.result;
    // Nobody read the progress before the start had returned.
    const told = cluster.events.map((event) => (event.kind === 'worker' ? event.change : event.kind));
    expect(told.slice(0, 3)).toEqual(['joined', 'ready', 'started']);
    const types = (await cluster.journal()).map(({ type }) => type);
    expect(types.slice(0, 2)).toEqual(['run-started', 'worker-joined']);
    expect(types.filter((type) => type === 'worker-joined')).toHaveLength(1);
  });

  it('fails with PORT_IN_USE when its port is taken', async () => {
    const handle = await cluster.start(tinyConfig());
    const port = Number(handle.grpcAddress.split(':')[1]);
    const second = startCoordinator({
      config: tinyConfig({ cluster: { port } }),
      runFolder: `${cluster.runFolder}-2`,
      runId: 'run-2',
      dataset: tinyDataset,
      logger,
      metrics: createMetrics('coordinator', { processMetrics: false }),
    });
    await expect(second).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  });

  it('fails with CONFIG_TIMEOUT_ORDER when timeouts are not ordered', async () => {
    await expect(cluster.start(tinyConfig({ cluster: { heartbeatMs: 200, leaseMs: 300 } }))).rejects.toMatchObject({
      code: 'CONFIG_TIMEOUT_ORDER',
    });
    await expect(cluster.start(tinyConfig({ cluster: { leaseMs: 3000, stepDeadlineMs: 3000 } }))).rejects.toMatchObject({
      code: 'CONFIG_TIMEOUT_ORDER',
    });
  });

  it('counts workers by state and serves readiness over HTTP', async () => {
    const handle = await cluster.start(tinyConfig());
    expect((await fetch(`${handle.httpUrl}/readyz`)).status).toBe(503);
    cluster.worker({ blockMs: 20 });
    await cluster.event('step');
    expect((await fetch(`${handle.httpUrl}/readyz`)).status).toBe(200);
    const metrics = await (await fetch(`${handle.httpUrl}/metrics`)).text();
    expect(metrics).toMatch(/deepdefense_workers\{state="(busy|idle)"\} 1/);
    expect(metrics).toContain('deepdefense_step_phase_seconds_count{phase="compute"}');
  });
});
