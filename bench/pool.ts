/**
 * @file What a step costs the worker pool for 10 to 3000 workers: leases, answers and accounting alone, without network, tensors or
 * waiting. Each worker gets one shard and answers at once. Prints a table, or with `--json` one document {machine, rows}.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { StepBarrier } from '../src/coordinator/step-barrier.ts';
import type { WorkerLink } from '../src/coordinator/worker-link.ts';
import { WorkerPool } from '../src/coordinator/worker-pool.ts';
import { isDeepDefenseError, PACKAGE_VERSION, PROTOCOL_VERSION, systemClock } from '../src/core/index.ts';
import type { TrainTask } from '../src/wire/index.ts';
import { describeMachine } from './machine.ts';
import { wholeNumber } from './options.ts';
import { type Spread, spreadOf } from './statistics.ts';

const IDENTITY = { schemaHash: 'schema', datasetHash: 'data' };
const LENGTH = 4;

interface Row {
  readonly workers: number;
  readonly stepMs: Spread;
  readonly microsecondsPerWorker: number;
  /** Milliseconds for one heartbeat of every worker. */
  readonly heartbeatsMs: number;
}

async function measure(workers: number, repeats: number): Promise<Row> {
  const pool = new WorkerPool<number>({
    clock: systemClock,
    leaseMs: 600_000,
    stepDeadlineMs: 600_000,
    workersLostMs: 600_000,
    identity: IDENTITY,
    welcome: { runId: 'pool', configJson: '{}', ...IDENTITY, heartbeatMs: 500, trainSamples: workers, evaluationJson: '' },
    encodeParameters: (version) => version,
    observer: {},
  });
  let answers: (() => void)[] = [];
  const ids: number[] = [];
  for (let index = 0; index < workers; index++) {
    const link: WorkerLink<number> = {
      send: (message) => {
        if (message.body === 'trainTask') answers.push(() => answer(pool, id, message.trainTask));
      },
      sendParameters: () => {},
      close: () => {},
    };
    const id = pool.connect(link);
    ids.push(id);
    const hello = {
      workerId: `worker-${index}`,
      protocolVersion: PROTOCOL_VERSION,
      packageVersion: PACKAGE_VERSION,
      host: '',
      processId: 1,
    };
    pool.receive(id, { kind: 'hello', message: hello });
    const ready = { ...IDENTITY, engineFingerprint: 'none', metricNames: ['loss'], captureMs: 0, compileMs: 0 };
    pool.receive(id, { kind: 'ready', message: ready });
  }
  const times: number[] = [];
  for (let step = -1; step < repeats; step++) {
    const startMs = performance.now();
    pool.publish(step, new Float32Array(LENGTH));
    const barrier = new StepBarrier({
      step,
      firstPosition: 0,
      schedule: [{ learningRate: 0.1, gfaScale: 1 }],
      shards: workers,
      vectorLength: LENGTH,
      metricCount: () => 1,
    });
    const done = pool.run(barrier);
    while (answers.length > 0) {
      const due = answers;
      answers = [];
      for (const say of due) say();
    }
    await done;
    barrier.takeMean();
    if (step >= 0) times.push(performance.now() - startMs);
  }
  const startMs = performance.now();
  for (const id of ids) pool.receive(id, { kind: 'alive' });
  const heartbeatsMs = performance.now() - startMs;
  pool.finish('completed', 'measured');
  const stepMs = spreadOf(times);
  return { workers, stepMs, microsecondsPerWorker: (stepMs.median * 1000) / workers, heartbeatsMs };
}

function answer(pool: WorkerPool<number>, id: number, { taskId, step, leaseEpoch, blocks }: TrainTask): void {
  for (const block of blocks) {
    const message = { taskId, step, leaseEpoch, block, transferId: 0, metricSums: [1], computeMs: 0 };
    pool.receive(id, { kind: 'block', message, gradients: new Float32Array(LENGTH) });
  }
}

try {
  const { values } = parseArgs({ options: { repeats: { type: 'string', default: '9' }, json: { type: 'boolean', default: false } } });
  const repeats = wholeNumber('repeats', values.repeats);
  const rows: Row[] = [];
  for (const workers of [10, 100, 1000, 3000]) rows.push(await measure(workers, repeats));
  const table = new Table({
    head: ['workers', 'ms a step', 'min - max', 'us a worker', 'ms of heartbeats'],
    style: { head: [], border: [] },
  });
  for (const { workers, stepMs, microsecondsPerWorker, heartbeatsMs } of rows)
    table.push([
      workers,
      stepMs.median.toFixed(2),
      `${stepMs.min.toFixed(2)} - ${stepMs.max.toFixed(2)}`,
      microsecondsPerWorker.toFixed(0),
      heartbeatsMs.toFixed(2),
    ]);
  process.stdout.write(values.json ? `${JSON.stringify({ machine: describeMachine(), rows }, null, 2)}\n` : `${table.toString()}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = isDeepDefenseError(error) ? error.exitCode : 1;
}
