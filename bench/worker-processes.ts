/**
 * @file Many real workers, each a process with its tensor engine, on one training run: what mutual TLS costs, and what the machine bears. Runs the
 * built command line over loopback, in plain text and over mutual TLS in turns, and checks that every run ends with the same weights.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeepDefenseError } from '../src/core/index.ts';
import { CLI, NODE_ARGS, requireBuild } from './built-command.ts';
import { type BenchCertificates, benchCertificates } from './certificates.ts';
import { CoordinatorProcess, type Usage, untilReady, usageOf } from './coordinator-process.ts';
import { flag, wholeNumber } from './options.ts';
import { printResult, runScript } from './script.ts';
import { formatSpread, type Spread, spreadOf } from './statistics.ts';
import { formatTable } from './table.ts';
import { withTemporaryFolder } from './temporary-folder.ts';

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

async function measure(workers: number, measured: number, certificates: BenchCertificates | undefined, runsFolder: string): Promise<Row> {
  const coordinator = new CoordinatorProcess({
    runsFolder,
    workers,
    samplesPerShard: SAMPLES_PER_SHARD,
    // The last one ends the processes, and isn't measured.
    steps: WARM_UP_STEPS + measured + 1,
    // A core for thirty processes: nobody is to be taken for lost.
    settings: ['cluster.leaseMs=60000', 'cluster.stepDeadlineMs=600000'],
    certificates,
  });
  const children: ChildProcess[] = [];
  try {
    const { address, httpUrl } = await coordinator.listening();
    const startedMs = performance.now();
    const certs = certificates === undefined ? [] : ['--certs', certificates.worker];
    const start = [...NODE_ARGS, CLI, 'worker', '--coordinator', address, ...certs, '--log-level', 'error'];
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
    await coordinator.ended();
    const result = JSON.parse(readFileSync(join(coordinator.runFolder, 'result.json'), 'utf8')) as {
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
    for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
    await coordinator.close();
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
  return formatTable(
    ['transport', 'workers', 'join s', 's a step', 'coordinator: CPU ms a step, MiB', 'workers: CPU ms a step, MiB each (min - max)'],
    rows.map((row) => [
      row.transport,
      row.workers,
      row.joinSeconds.toFixed(1),
      row.secondsPerStep.toFixed(3),
      `${row.coordinatorCpuMs.toFixed(1)}, ${row.coordinatorMiB.toFixed(0)}`,
      `${row.workersCpuMs.toFixed(0)}, ${formatSpread(row.workerMiB, 0)}`,
    ]),
  );
}

const OPTIONS = { workers: wholeNumber(64), steps: wholeNumber(20), repeats: wholeNumber(3), json: flag() };

await runScript(HELP, OPTIONS, async ({ workers, steps, repeats, json }, head) => {
  requireBuild();
  const certificates = await benchCertificates();
  const rows: Row[] = [];
  try {
    for (let repeat = 0; repeat < repeats; repeat++)
      for (const shown of repeat % 2 === 0 ? [undefined, certificates] : [certificates, undefined]) {
        const row = await withTemporaryFolder('workers', (folder) => measure(workers, steps, shown, folder));
        rows.push(row);
        process.stderr.write(`${workers} workers, ${row.transport}: ${row.secondsPerStep.toFixed(3)} s a step\n`);
      }
  } finally {
    await certificates.close();
  }
  const hashes = new Set(rows.map(({ weightsSha256 }) => weightsSha256));
  if (hashes.size !== 1) throw new DeepDefenseError('INTERNAL', { what: `runs ended with ${hashes.size} different weights` });
  printResult(json, { ...head, rows }, `${formatRows(rows)}\nall ended with the weights ${[...hashes][0]}`);
});
