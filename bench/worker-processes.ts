/**
 * @file Many real workers, each a process with its tensor engine, on one training run: what mutual TLS costs, and what the machine bears. Runs the
 * built command line over loopback, in plain text and over mutual TLS in turns, and checks that every run ends with the same weights.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { DeepDefenseError, isDeepDefenseError } from '../src/core/index.ts';
import { CLI, requireBuild } from './built-command.ts';
import { type BenchCertificates, benchCertificates } from './certificates.ts';
import { CoordinatorProcess, type Usage, untilReady, usageOf } from './coordinator-process.ts';
import { describeMachine } from './machine.ts';
import { wholeNumber } from './options.ts';
import { type Spread, spreadOf } from './statistics.ts';

const HELP = `Trains cnn3 with many worker processes, in plain text and over mutual TLS. Linux only (/proc).

  npm run build && node --import tsx bench/worker-processes.ts [--workers 64] [--steps 20] [--repeats 3] [--json]

  --workers  worker processes, each with one shard of four samples; some 200 MiB of memory each; default 64
  --steps    measured steps, behind two that warm up; default 20
  --repeats  times that both are measured; default 3
  --json     one JSON document on stdout, progress on stderr`;

const WARM_UP_STEPS = 2;
const SAMPLES_PER_SHARD = 4;
const POLL_MS = 20;

interface Row {
  readonly transport: 'plain' | 'mTLS';
  readonly workers: number;
  readonly steps: number;
  /** From the start of the first worker until all are ready. */
  readonly joinSeconds: number;
  readonly secondsPerStep: number;
  /** Processor time of a step, in milliseconds. */
  readonly coordinatorCpuMs: number;
  readonly workersCpuMs: number;
  readonly coordinatorMiB: number;
  readonly workerMiB: Spread;
  readonly weightsSha256: string;
}

/** Processor time and memory of all at one moment. */
interface Moment {
  readonly step: number;
  readonly atMs: number;
  readonly coordinator: Usage;
  readonly workers: readonly Usage[];
}

async function measure(workers: number, measured: number, certificates: BenchCertificates | undefined): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), 'deepdefense-workers-'));
  const config = [
    `runsFolder=${folder}`,
    'data.source=synthetic',
    'data.testSamples=100',
    'model.name=cnn3',
    `train.shards=${workers}`,
    `train.batchSize=${workers * SAMPLES_PER_SHARD}`,
    'train.epochs=1000000',
    // The last one ends the processes, and isn't measured.
    `train.maxSteps=${WARM_UP_STEPS + measured + 1}`,
    `cluster.minWorkers=${workers}`,
    'evaluation.everyEpochs=1000000',
    // A core for thirty processes: nobody is to be taken for lost.
    'cluster.leaseMs=60000',
    'cluster.stepDeadlineMs=600000',
  ].flatMap((setting) => ['--set', setting]);
  // As the installed command starts: see the first line of src/cli/main.ts.
  const own = (certs: string | undefined) => (certs === undefined ? [] : ['--certs', certs]);
  const coordinator = new CoordinatorProcess(['--v8-pool-size=0', CLI, 'coordinator', ...own(certificates?.coordinator), ...config]);
  const children: ChildProcess[] = [];
  try {
    const { address, httpUrl } = await coordinator.listening();
    const startedMs = performance.now();
    const start = ['--v8-pool-size=0', CLI, 'worker', '--coordinator', address, ...own(certificates?.worker), '--log-level', 'error'];
    for (let index = 0; index < workers; index++) children.push(spawn(process.execPath, start, { stdio: 'ignore' }));
    await untilReady(httpUrl, workers);
    const joinSeconds = (performance.now() - startedMs) / 1000;
    const take = (step: number): Moment => ({
      step,
      atMs: performance.now(),
      coordinator: usageOf(coordinator.pid),
      workers: children.map(({ pid }) => usageOf(pid as number)),
    });
    const begin = take(await untilStep(httpUrl, WARM_UP_STEPS));
    const end = take(await untilStep(httpUrl, WARM_UP_STEPS + measured));
    const steps = end.step - begin.step;
    const cpu = ({ cpuSeconds }: Usage, before: Usage): number => ((cpuSeconds - before.cpuSeconds) * 1000) / steps;
    const code = await coordinator.exit;
    if (code !== 0)
      throw new DeepDefenseError('INTERNAL', { what: `the coordinator ended with exit code ${code}`, got: coordinator.lastWords });
    const result = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0] as string, 'result.json'), 'utf8')) as {
      readonly weightsSha256: string;
    };
    return {
      transport: certificates === undefined ? 'plain' : 'mTLS',
      workers,
      steps,
      joinSeconds,
      secondsPerStep: (end.atMs - begin.atMs) / 1000 / steps,
      coordinatorCpuMs: cpu(end.coordinator, begin.coordinator),
      workersCpuMs: end.workers.reduce((sum, usage, index) => sum + cpu(usage, begin.workers[index] as Usage), 0),
      coordinatorMiB: end.coordinator.residentMiB,
      workerMiB: spreadOf(end.workers.map(({ residentMiB }) => residentMiB)),
      weightsSha256: result.weightsSha256,
    };
  } finally {
    for (const child of [...children, coordinator.child]) if (child.exitCode === null) child.kill('SIGKILL');
    await coordinator.exit.catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Waits until so many steps are committed. @returns how many are, by then */
async function untilStep(httpUrl: string, step: number): Promise<number> {
  for (;;) {
    const text = await fetch(`${httpUrl}/metrics`).then((response) => response.text());
    const committed = Number(/^deepdefense_steps_total(?:\{.*\})? (\d+)/m.exec(text)?.[1] ?? 0);
    if (committed >= step) return committed;
    await sleep(POLL_MS);
  }
}

function formatRows(rows: readonly Row[]): string {
  const table = new Table({
    head: ['transport', 'workers', 'join s', 's a step', 'coordinator: CPU ms a step, MiB', 'workers: CPU ms a step, MiB each (min - max)'],
    style: { head: [], border: [] },
  });
  for (const row of rows)
    table.push([
      row.transport,
      row.workers,
      row.joinSeconds.toFixed(1),
      row.secondsPerStep.toFixed(3),
      `${row.coordinatorCpuMs.toFixed(1)}, ${row.coordinatorMiB.toFixed(0)}`,
      `${row.workersCpuMs.toFixed(0)}, ${row.workerMiB.median.toFixed(0)} (${row.workerMiB.min.toFixed(0)} - ${row.workerMiB.max.toFixed(0)})`,
    ]);
  return table.toString();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      workers: { type: 'string', default: '64' },
      steps: { type: 'string', default: '20' },
      repeats: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  requireBuild();
  const [workers, steps, repeats] = [
    wholeNumber('workers', values.workers),
    wholeNumber('steps', values.steps),
    wholeNumber('repeats', values.repeats),
  ];
  const machine = describeMachine();
  const certificates = await benchCertificates();
  const rows: Row[] = [];
  try {
    for (let repeat = 0; repeat < repeats; repeat++)
      for (const shown of repeat % 2 === 0 ? [undefined, certificates] : [certificates, undefined]) {
        const row = await measure(workers, steps, shown);
        rows.push(row);
        process.stderr.write(`${workers} workers, ${row.transport}: ${row.secondsPerStep.toFixed(3)} s a step\n`);
      }
  } finally {
    await certificates.close();
  }
  const hashes = new Set(rows.map(({ weightsSha256 }) => weightsSha256));
  if (hashes.size !== 1) throw new DeepDefenseError('INTERNAL', { what: `runs ended with ${hashes.size} different weights` });
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ machine, versions: { node: process.versions.node }, rows }, null, 2)}\n`
      : `${formatRows(rows)}\nall ended with the weights ${[...hashes][0]}\n`,
  );
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = isDeepDefenseError(error) ? error.exitCode : 1;
}
