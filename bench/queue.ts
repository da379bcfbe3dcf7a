/**
 * @file What a thousand workers that pull tasks cost a queue, embedded behind gRPC or on NATS JetStream: workers without computation, each
 * with a connection of its own, in processes of their own; some fall silent with a task in hand. Counts that no task was lost or ended twice.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../src/core/index.ts';
import { openNatsLink } from '../src/journal/index.ts';
import { createQueueService, MemoryQueue, openJetStreamQueue, type TaskEnd, type TaskQueue } from '../src/queue/index.ts';
import { bindServer, closeServer, createSweepServer } from '../src/wire/index.ts';
import { startNatsServer } from '../test/support/nats-server.ts';
import { oneOf, text, wholeNumber } from './options.ts';
import type { QueueWorkersReport } from './queue-workers.ts';
import { documentHead, readOptions } from './script.ts';

const HELP = `Measures a queue of tasks with many workers. Linux only.

  node --import tsx bench/queue.ts [--backend embedded|nats] [--workers 1000] [--tasks 5000] [--seconds 1] [--silent 0.01]

  --backend    embedded = in memory, behind gRPC; nats = a nats-server of its own (see scripts/get-nats-server.sh)
  --seconds    what a task takes a worker, without work; default 1
  --silent     share of claims whose worker falls silent, so that another has to do the task; default 0.01
  --processes  processes that the workers share; default 2

Prints one JSON document. Exit code 1 when a task was lost or ended twice.`;

const { backend, workers, tasks, processes, ...values } = readOptions(HELP, {
  backend: oneOf(['embedded', 'nats'], 'embedded'),
  workers: wholeNumber(1000),
  tasks: wholeNumber(5000),
  processes: wholeNumber(2),
  seconds: text('1'),
  silent: text('0.01'),
});
const seconds = Number(values.seconds);
const head = documentHead();
const LEASE_MS = 4_000;
const RETRIES = { errors: 0, preemptions: 20 };

interface Opened {
  readonly queue: TaskQueue;
  /** For the workers' processes. */
  readonly address: string;
  /** Sends the workers home. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

const opened = backend === 'nats' ? await openNats() : await openEmbedded();
const { queue } = opened;
const ends: TaskEnd[] = [];
const allEnded = (async () => {
  const seen = new Set<string>();
  for await (const end of queue.ends()) {
    ends.push(end);
    seen.add(end.task);
    if (seen.size === tasks) return;
  }
})();
const publishStartedMs = performance.now();
for (let i = 0; i < tasks; i += 100)
  await Promise.all(Array.from({ length: Math.min(100, tasks - i) }, (_, j) => queue.publish({ id: `t${i + j}`, payload: '{}' })));
const publishSeconds = (performance.now() - publishStartedMs) / 1000;

const children = Array.from({ length: processes }, (_, index) => {
  const share = Math.floor(((index + 1) * workers) / processes) - Math.floor((index * workers) / processes);
  const args = [backend, opened.address, String(share), String(seconds), values.silent];
  return fork(fileURLToPath(new URL('queue-workers.ts', import.meta.url)), args, { execArgv: ['--import', 'tsx'] });
});
const reports = children.map((child) => nextReport(child, 'ended'));
await Promise.all(children.map((child) => nextReport(child, 'connected')));
// All are there: now the clock runs.
const [cpuBefore, startedMs] = [process.cpuUsage(), performance.now()];
for (const child of children) child.send('go');
await allEnded;
const wallSeconds = (performance.now() - startedMs) / 1000;
const cpu = process.cpuUsage(cpuBefore);
await opened.finish();
const ended = await Promise.all(reports);
await opened.close();
const unique = new Set(ends.map(({ task }) => task)).size;
const sum = (of: (report: QueueWorkersReport) => number) => ended.reduce((total, report) => total + of(report), 0);
const document = {
  ...{ backend, workers, tasks, processes, secondsPerTask: seconds, ...head },
  publishSeconds,
  wallSeconds,
  idealSeconds: (tasks / workers) * seconds,
  tasksPerSecond: tasks / wallSeconds,
  coordinator: { cpuSeconds: (cpu.user + cpu.system) / 1e6, peakMiB: process.resourceUsage().maxRSS / 1024 },
  workersPeakMiB: sum(({ peakMiB }) => peakMiB),
  claims: sum(({ claims }) => claims),
  fellSilent: sum(({ silent }) => silent),
  refused: sum(({ refused }) => refused),
  ended: ends.length,
  lost: tasks - unique,
  twice: ends.length - unique,
  failed: ends.filter(({ kind }) => kind === 'failed').length,
};
console.log(JSON.stringify(document));
process.exit(document.lost + document.twice + document.failed === 0 ? 0 : 1);

async function nextReport(child: ReturnType<typeof fork>, kind: QueueWorkersReport['kind']): Promise<QueueWorkersReport> {
  for (;;) {
    const [message] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => {
        throw new Error('a process of workers ended early');
      }),
    ])) as [QueueWorkersReport];
    if (message.kind === kind) return message;
  }
}

async function openEmbedded(): Promise<Opened> {
  const memory = new MemoryQueue({ clock: systemClock, leaseMs: LEASE_MS, retries: RETRIES, firstEpoch: 0, onEnd: async () => {} });
  let isOver = false;
  const { handlers } = createQueueService(memory, { sweepId: 'bench', leaseMs: LEASE_MS, isOver: () => isOver });
  const server = createSweepServer({ ...handlers, control: async () => ({ code: '', message: '', status: '' }) });
  const port = await bindServer(server, '127.0.0.1', 0);
  return {
    queue: memory,
    address: `127.0.0.1:${port}`,
    finish: async () => {
      isOver = true;
      memory.finish();
    },
    close: async () => {
      await memory.close();
      await closeServer(server, 1000);
    },
  };
}

async function openNats(): Promise<Opened> {
  const server = await startNatsServer();
  const link = await openNatsLink({ servers: server.url });
  const jetStream = await openJetStreamQueue({ link, sweepId: 'bench', definition: 'bench', leaseMs: LEASE_MS, retries: RETRIES });
  return {
    queue: jetStream,
    address: server.url,
    finish: async () => jetStream.finish(),
    close: async () => {
      await jetStream.close();
      await link.close();
      await server.close();
    },
  };
}
