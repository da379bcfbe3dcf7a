/**
 * @file A pool of workers on NATS: how long a worker takes to begin with a new sweep, and what shares of the time sweeps of priority 3, 2
 * and 1 get. Workers and sweeps are simulated in this process, the server is real.
 *
 * `node --import tsx bench/sweep-pool.ts [seconds]`, with nats-server (scripts/get-nats-server.sh); prints JSON.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openNatsLink } from '../src/journal/index.ts';
import { openJetStreamQueue, openQuotas, SweepPool, SweepRegistry } from '../src/queue/index.ts';
import { startNatsServer } from '../test/support/nats-server.ts';

const SECONDS = Number(process.argv[2] ?? 60);
const WORKERS = 4;
const TASK_MS = 250;
const NEW_SWEEPS = 20;

const server = await startNatsServer();
const open = () => openNatsLink({ servers: server.url });
const link = await open();
await openQuotas(link);
const registry = await SweepRegistry.open(link);

async function makeSweep(sweepId: string, priority: number, tasks: number) {
  const standing = {
    tenant: 'default',
    state: 'running',
    startedAt: new Date().toISOString(),
    measurements: 0,
    candidates: 0,
    budget: 0,
  } as const;
  await registry.put({ sweep: sweepId, priority, ...standing });
  const queue = await openJetStreamQueue({ link, sweepId, definition: 'd', leaseMs: 10_000, retries: { errors: 1, preemptions: 1 } });
  for (let i = 0; i < tasks; i++) await queue.publish({ id: `${sweepId}-${i}`, payload: '' });
  return queue;
}

/** From the beginning of the making of a sweep until a waiting worker has its first trial, in ms. */
async function measureBeginning(): Promise<number[]> {
  const pool = new SweepPool({ link: await open(), patterns: [{ pattern: 'new-*', weight: undefined }] });
  const times: number[] = [];
  for (let i = 0; i < NEW_SWEEPS; i++) {
    const claim = pool.claim('waiting', AbortSignal.timeout(30_000));
    await sleep(500);
    const startMs = performance.now();
    const queue = await makeSweep(`new-${i}`, 1, 1);
    await (await claim)?.commit('');
    times.push(Math.round(performance.now() - startMs));
    await queue.close();
  }
  await pool.close();
  return times.sort((a, b) => a - b);
}

async function measureShares(): Promise<Record<string, number>> {
  const queues = [await makeSweep('p3', 3, 1500), await makeSweep('p2', 2, 1500), await makeSweep('p1', 1, 1500)];
  const seconds: Record<string, number> = { p3: 0, p2: 0, p1: 0 };
  const signal = AbortSignal.timeout(SECONDS * 1000);
  const work = async (): Promise<void> => {
    const pool = new SweepPool({ link: await open(), patterns: [{ pattern: 'p*', weight: undefined }] });
    for (;;) {
      const claim = await pool.claim('w', signal);
      if (claim === undefined) break;
      const startMs = performance.now();
      // Times that differ, with the same mean for all.
      await sleep(TASK_MS * (0.5 + Math.random()));
      const sweep = claim.task.id.slice(0, 2);
      seconds[sweep] = (seconds[sweep] ?? 0) + (performance.now() - startMs) / 1000;
      await claim.commit('');
    }
    await pool.close();
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  for (const queue of queues) await queue.close();
  return seconds;
}

const beginningMs = await measureBeginning();
const seconds = await measureShares();
const all = Object.values(seconds).reduce((sum, each) => sum + each, 0);
const shares = Object.fromEntries(Object.entries(seconds).map(([sweep, each]) => [sweep, Number((each / all).toFixed(4))]));
const median = beginningMs[Math.floor(beginningMs.length / 2)];
const record = {
  beginning: { n: beginningMs.length, medianMs: median, leastMs: beginningMs[0], mostMs: beginningMs.at(-1) },
  shares: {
    seconds: SECONDS,
    workers: WORKERS,
    busySeconds: Number(all.toFixed(1)),
    expected: { p3: 0.5, p2: 0.3333, p1: 0.1667 },
    got: shares,
  },
};
process.stdout.write(`${JSON.stringify(record, undefined, 2)}\n`);
await link.close();
await server.close();
process.exit(0);
