/**
 * @file What a step costs the worker pool for 10 to 3000 workers: leases, answers and accounting alone, without network, tensors or
 * waiting. Each worker gets one shard and answers at once. Prints a table, or with `--json` one document {machine, versions, rows}.
 */
import { StepBarrier } from '../src/coordinator/step-barrier.ts';
import type { WorkerLink } from '../src/coordinator/worker-link.ts';
import { WorkerPool } from '../src/coordinator/worker-pool.ts';
import { PACKAGE_VERSION, PROTOCOL_VERSION, systemClock } from '../src/core/index.ts';
import type { TrainTask } from '../src/wire/index.ts';
import { flag, wholeNumber } from './options.ts';
import { printResult, runScript } from './script.ts';
import { formatRange, type Spread, spreadOf } from './statistics.ts';
import { formatTable } from './table.ts';

const HELP = `Times steps of the worker pool alone with 10 to 3000 workers.

  node --import tsx bench/pool.ts [--repeats 9] [--json]`;

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

function formatRows(rows: readonly Row[]): string {
  return formatTable(
    ['workers', 'ms a step', 'min - max', 'us a worker', 'ms of heartbeats'],
    rows.map(({ workers, stepMs, microsecondsPerWorker, heartbeatsMs }) => [
      workers,
      stepMs.median.toFixed(2),
      formatRange(stepMs, 2),
      microsecondsPerWorker.toFixed(0),
      heartbeatsMs.toFixed(2),
    ]),
  );
}

await runScript(HELP, { repeats: wholeNumber(9), json: flag() }, async ({ repeats, json }, head) => {
  const rows: Row[] = [];
  for (const workers of [10, 100, 1000, 3000]) rows.push(await measure(workers, repeats));
  printResult(json, { ...head, rows }, formatRows(rows));
});
