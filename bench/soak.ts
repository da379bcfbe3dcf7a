/**
 * @file Hundreds of thousands of steps through one coordinator process with real gRPC and workers that compute nothing, to see whether
 * memory, open files or the run folder grow. Prints a table and what grew, or with `--json` one document; ends with 1 where a bound is broken.
 */
import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLI, requireBuild } from './built-command.ts';
import { benchCertificates } from './certificates.ts';
import { CoordinatorProcess, usageOf } from './coordinator-process.ts';
import { flag, text, texts, type Values, wholeNumber } from './options.ts';
import { type DocumentHead, printResult, runScript } from './script.ts';
import { SMALL_ELEMENTS, SMALL_MODEL } from './small-model.ts';
import { spreadOf } from './statistics.ts';
import { Swarm } from './swarm-processes.ts';
import { formatTable } from './table.ts';
import { withTemporaryFolder } from './temporary-folder.ts';

const HELP = `Runs very many steps of a tiny model and watches memory, open files and the run folder. Linux only (/proc).

  npm run build && node --import tsx bench/soak.ts [--steps 500000] [--every 10000] [--workers 2] [--tls] [--json]

  --steps             steps of the run; default 500000
  --every             steps between two looks at the coordinator; default 5000
  --workers           workers, each with one shard; default 2
  --checkpoint-steps  steps between two checkpoints; default 2000
  --tls               over mutual TLS
  --set               a setting for the coordinator, KEY=VALUE; repeatable
  --runs              folder for the run folder, which then stays; default: a temporary one
  --json              one JSON document on stdout`;

/** Share of the run before the bounds apply: caches fill, code is compiled, the heap finds its size. */
const WARM_UP_SHARE = 0.2;
/** From the first fifth behind the warm-up to the last fifth: of what a collection leaves, and of the peak. */
const MOST_GROWTH_MIB = 16;
const MOST_PEAK_GROWTH_MIB = 48;
/** Open files may come and go with a checkpoint. */
const MOST_GROWTH_FILES = 4;
/** Of a run with two workers and the metrics loss, accuracy and lossTerm, without what is compressed away. */
const MOST_JOURNAL_BYTES_PER_STEP = 800;

/** What the coordinator held when a step began. */
interface Look {
  readonly step: number;
  readonly atSeconds: number;
  /** Mean since the look before. */
  readonly stepMs: number;
  readonly cpuMsPerStep: number;
  readonly residentMiB: number;
  /** V8's old space, with what isn't collected yet. */
  readonly oldSpaceMiB: number;
  readonly externalMiB: number;
  readonly openFiles: number;
  readonly journalMiB: number;
  readonly journalFiles: number;
  readonly checkpoints: number;
  readonly checkpointsMiB: number;
}

interface Bound {
  readonly what: string;
  readonly got: number;
  readonly most: number;
}

const MIB = 2 ** 20;

function filesOf(folder: string, isCounted: (name: string) => boolean): { files: number; mebibytes: number } {
  const names = readdirSync(folder).filter(isCounted);
  // A file may be replaced between the two calls.
  const sizes = names.map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0);
  return { files: names.length, mebibytes: sizes.reduce((sum, size) => sum + size, 0) / MIB };
}

const isJournal = (name: string): boolean => name.startsWith('journal');

async function gauges(httpUrl: string): Promise<(pattern: RegExp) => number> {
  const text = await (await fetch(`${httpUrl}/metrics`)).text();
  return (pattern) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
}

async function lookAt(
  pid: number,
  httpUrl: string,
  runFolder: string,
): Promise<Omit<Look, 'step' | 'atSeconds' | 'stepMs' | 'cpuMsPerStep'>> {
  const gauge = await gauges(httpUrl);
  const journal = filesOf(runFolder, isJournal);
  const checkpoints = filesOf(join(runFolder, 'checkpoints'), (name) => name.startsWith('step-'));
  return {
    residentMiB: usageOf(pid).residentMiB,
    oldSpaceMiB: gauge(/^nodejs_heap_space_size_used_bytes\{space="old"\} (\S+)/m) / MIB,
    externalMiB: gauge(/^nodejs_external_memory_bytes (\S+)/m) / MIB,
    openFiles: readdirSync(`/proc/${pid}/fd`).length,
    journalMiB: journal.mebibytes,
    journalFiles: journal.files,
    checkpoints: checkpoints.files,
    checkpointsMiB: checkpoints.mebibytes,
  };
}

/**
 * From the first fifth behind the warm-up to the last fifth.
 * @param side `min` for what a collector leaves, whose peaks say when it ran; `max` for what a process needs
 */
function growthOf(looks: readonly Look[], side: 'min' | 'max', value: (look: Look) => number): number {
  const settled = looks.slice(Math.ceil(looks.length * WARM_UP_SHARE));
  const fifth = Math.max(1, Math.floor(settled.length / 5));
  const extreme = (part: readonly Look[]): number => spreadOf(part.map(value))[side];
  return extreme(settled.slice(-fifth)) - extreme(settled.slice(0, fifth));
}

function boundsOf(looks: readonly Look[]): Bound[] {
  const last = looks.at(-1) as Look;
  return [
    {
      what: 'growth of the resident memory, MiB',
      got: growthOf(looks, 'max', ({ residentMiB }) => residentMiB),
      most: MOST_PEAK_GROWTH_MIB,
    },
    { what: "growth of V8's old space, MiB", got: growthOf(looks, 'min', ({ oldSpaceMiB }) => oldSpaceMiB), most: MOST_GROWTH_MIB },
    { what: 'growth of external memory, MiB', got: growthOf(looks, 'min', ({ externalMiB }) => externalMiB), most: MOST_GROWTH_MIB },
    { what: 'growth of the number of open files', got: growthOf(looks, 'max', ({ openFiles }) => openFiles), most: MOST_GROWTH_FILES },
    { what: 'journal, bytes per step', got: (last.journalMiB * MIB) / last.step, most: MOST_JOURNAL_BYTES_PER_STEP },
    { what: 'growth of the number of checkpoints', got: growthOf(looks, 'max', ({ checkpoints }) => checkpoints), most: 1 },
  ];
}

/** Runs the audit of a run folder in a process of its own. */
async function audit(runFolder: string): Promise<{ seconds: number; peakMiB: number; passed: boolean }> {
  const startMs = performance.now();
  const child = spawn(process.execPath, ['--import', SMALL_MODEL, CLI, 'audit', runFolder, '--json'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  let peakMiB = 0;
  const timer = setInterval(() => {
    try {
      peakMiB = usageOf(child.pid as number).peakMiB || peakMiB;
    } catch {
      // It has just ended.
    }
  }, 100);
  const code = await exit;
  clearInterval(timer);
  return { seconds: (performance.now() - startMs) / 1000, peakMiB, passed: code === 0 };
}

function format(looks: readonly Look[]): string {
  return formatTable(
    ['step', 's', 'ms a step', 'CPU ms', 'RSS MiB', 'old space', 'external', 'files', 'journal MiB (files)', 'checkpoints'],
    looks.map((look) => [
      look.step,
      look.atSeconds.toFixed(0),
      look.stepMs.toFixed(2),
      look.cpuMsPerStep.toFixed(2),
      look.residentMiB.toFixed(0),
      look.oldSpaceMiB.toFixed(1),
      look.externalMiB.toFixed(1),
      look.openFiles,
      `${look.journalMiB.toFixed(1)} (${look.journalFiles})`,
      look.checkpoints,
    ]),
  );
}

const OPTIONS = {
  steps: wholeNumber(500_000),
  every: wholeNumber(5000),
  workers: wholeNumber(2),
  'checkpoint-steps': wholeNumber(2000),
  tls: flag(),
  set: texts(),
  runs: text(),
  json: flag(),
};

async function soak(
  runsFolder: string,
  { steps, every, workers, 'checkpoint-steps': checkpointSteps, tls, set, json }: Values<typeof OPTIONS>,
  head: DocumentHead,
): Promise<void> {
  const certificates = tls ? await benchCertificates() : undefined;
  const coordinator = new CoordinatorProcess({
    runsFolder,
    workers,
    steps,
    settings: [`checkpoint.everySteps=${checkpointSteps}`, ...set],
    certificates,
    nodeArgs: ['--import', SMALL_MODEL],
  });
  const looks: Look[] = [];
  let looking: Promise<void> = Promise.resolve();
  let before = { step: 0, atMs: 0, cpuSeconds: 0 };
  let startMs = 0;
  let runFolder = '';
  let httpUrl = '';
  const swarm = new Swarm((step, atMs) => {
    if (step % every !== 0) return;
    const { cpuSeconds } = usageOf(coordinator.pid);
    if (step === 0) startMs = atMs;
    else {
      const count = step - before.step;
      const times = {
        step,
        atSeconds: (atMs - startMs) / 1000,
        stepMs: (atMs - before.atMs) / count,
        cpuMsPerStep: ((cpuSeconds - before.cpuSeconds) * 1000) / count,
      };
      looking = looking
        .then(async () => {
          const look = { ...times, ...(await lookAt(coordinator.pid, httpUrl, runFolder)) };
          looks.push(look);
          process.stderr.write(`${JSON.stringify(look)}\n`);
        })
        .catch((error: unknown) => swarm.fail(error));
    }
    before = { step, atMs, cpuSeconds };
  });
  try {
    const listening = await coordinator.listening();
    httpUrl = listening.httpUrl;
    runFolder = coordinator.runFolder;
    await swarm.start(listening.address, workers, SMALL_ELEMENTS, 1, certificates?.worker);
    swarm.joinAllButOne();
    await sleep(500);
    swarm.joinLast();
    await Promise.race([coordinator.ended(), swarm.failed]);
    await looking;
    const { drops } = await swarm.end();
    const audited = await audit(runFolder);
    const bounds = boundsOf(looks);
    const lines = bounds.map(({ what, got, most }) => `${got > most ? 'BROKEN' : 'ok'}: ${what}: ${got.toFixed(1)}, bound ${most}`);
    lines.push(
      `audit: ${audited.passed ? 'passed' : 'FAILED'} in ${audited.seconds.toFixed(1)} s, ${audited.peakMiB.toFixed(0)} MiB at most`,
    );
    printResult(json, { ...head, steps, workers, tls, drops, looks, bounds, audit: audited }, [format(looks), ...lines].join('\n'));
    if (bounds.some(({ got, most }) => got > most) || !audited.passed) process.exitCode = 1;
  } finally {
    swarm.close();
    await coordinator.close();
    await certificates?.close();
  }
}

await runScript(HELP, OPTIONS, async (values, head) => {
  requireBuild();
  const run = (folder: string): Promise<void> => soak(folder, values, head);
  await (values.runs === undefined ? withTemporaryFolder('soak', run) : run(values.runs));
});
