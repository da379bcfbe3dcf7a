/**
 * @file What 10 to 1000 workers cost a coordinator: the built command line in a process of its own, and workers without computation over
 * loopback, each with a connection of its own. Prints a table, or with `--json` one document {machine, rows}.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultNetwork, parameterSpecs } from '../src/config/index.ts';
import { DeepDefenseError, sizeOf } from '../src/core/index.ts';
import { requireBuild } from './built-command.ts';
import { type BenchCertificates, benchCertificates } from './certificates.ts';
import { CoordinatorProcess, type Usage, untilReady, usageOf } from './coordinator-process.ts';
import { flag, someOf, text, texts, wholeNumber, wholeNumbers } from './options.ts';
import { printResult, runScript } from './script.ts';
import { SMALL_ELEMENTS, SMALL_MODEL } from './small-model.ts';
import { formatSpread, type Spread, spreadOf } from './statistics.ts';
import { Swarm } from './swarm-processes.ts';
import { formatTable } from './table.ts';
import { withTemporaryFolder } from './temporary-folder.ts';

const HELP = `Measures a coordinator with up to a thousand workers that compute nothing. Linux only (/proc).

  npm run build && node --import tsx bench/swarm.ts [--workers 10,30,100,300,1000] [--steps 15] [--models small,cnn3] [--json]

  --workers       numbers of workers, each with one shard; default 10,30,100,300,1000
  --steps         measured steps with the most workers; fewer workers take more, up to twenty times; default 15
  --models        small = cnn3 with 15 parameters: the protocol alone; cnn3 = 584 kB up and down per worker and step; default both
  --tls           each measurement twice in turns: in plain text and over mutual TLS
  --repeats       times that everything is measured; default 1
  --idle-seconds  time with all but one worker ready and no work; default 4
  --processes     processes that the workers share; default 2
  --set           a setting for the coordinator, KEY=VALUE; repeatable
  --cpu-prof      folder for CPU profiles of the coordinators
  --json          one JSON document on stdout, progress on stderr`;

const MODELS = ['small', 'cnn3'] as const;
type Model = (typeof MODELS)[number];

/** Steps before the measured ones: at least so many, and so many answers of workers, or small numbers would show code that isn't compiled yet. */
const WARM_UP_STEPS = 3;
const WARM_UP_ANSWERS = 3000;
/** Fewer workers take so many times the steps at most. */
const MOST_REPEATS = 20;

interface Settings {
  readonly steps: number;
  readonly idleSeconds: number;
  readonly processes: number;
  readonly set: readonly string[];
  readonly cpuProf: string | undefined;
}

interface Row {
  readonly model: Model;
  readonly transport: 'plain' | 'mTLS';
  readonly workers: number;
  readonly steps: number;
  /** From one step's first task to the next one's. */
  readonly stepMs: Spread;
  /** The coordinator's processor time, all threads. */
  readonly cpuMsPerStep: number;
  /** The same per worker, less heartbeats: what as much time without work took. */
  readonly cpuMsPerWorker: number;
  /** Processor seconds per second of steps. */
  readonly cpuShare: number;
  /** Tensors of one step over all workers. */
  readonly megabytesUp: number;
  readonly megabytesDown: number;
  /** Tasks beyond one per worker and step: speculative leases and repetitions. */
  readonly extraTasks: number;
  readonly joinSeconds: number;
  readonly joinCpuSeconds: number;
  /** Heartbeats alone: processor time in percent of one core. */
  readonly idleCpuPercent: number;
  readonly idleMiB: number;
  readonly peakMiB: number;
  /** From the last step's first task to the end of the process, with an evaluation of 100 images. */
  readonly endSeconds: number;
  /** Streams that broke in the whole run. */
  readonly drops: number;
  /** As the run's result says. */
  readonly leasesExpired: number;
  readonly answersRefused: number;
}

/** What one step looked like when its first task came. */
interface StepMark {
  readonly atMs: number;
  readonly usage: Usage;
}

async function measure(
  model: Model,
  workers: number,
  measuredSteps: number,
  certificates: BenchCertificates | undefined,
  settings: Settings,
  runsFolder: string,
): Promise<Row> {
  const elements =
    model === 'small' ? SMALL_ELEMENTS : parameterSpecs(defaultNetwork('cnn3')).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const warmUp = Math.max(WARM_UP_STEPS, Math.ceil(WARM_UP_ANSWERS / workers));
  // The last step's end isn't seen by a worker, so one more begins and isn't counted.
  const steps = warmUp + measuredSteps + 1;
  const { cpuProf } = settings;
  const coordinator = new CoordinatorProcess({
    runsFolder,
    workers,
    steps,
    settings: [
      'checkpoint.everySteps=1000000',
      'checkpoint.everySeconds=1000000',
      // Gigabytes on two cores take longer than a lease of the default length; the storm that follows is another measurement.
      'cluster.leaseMs=60000',
      'cluster.stepDeadlineMs=600000',
      ...settings.set,
    ],
    certificates,
    nodeArgs: [
      ...(cpuProf === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProf}`, `--cpu-prof-name=${model}-${workers}.cpuprofile`]),
      ...(model === 'small' ? ['--import', SMALL_MODEL] : []),
    ],
  });
  const marks: StepMark[] = [];
  // Each process reports a step once; the first report counts.
  const swarm = new Swarm((step, atMs) => (marks[step] ??= { atMs, usage: usageOf(coordinator.pid) }));
  try {
    const { address, httpUrl } = await coordinator.listening();
    await swarm.start(address, workers, elements, Math.min(settings.processes, workers), certificates?.worker);
    const before = usageOf(coordinator.pid);
    const joinStartMs = performance.now();
    swarm.joinAllButOne();
    await Promise.race([untilReady(httpUrl, workers - 1), swarm.failed]);
    const joinSeconds = (performance.now() - joinStartMs) / 1000;
    const joined = usageOf(coordinator.pid);
    // What joining left to do is no part of idling.
    await sleep(1000);
    const idleStart = usageOf(coordinator.pid);
    await sleep(settings.idleSeconds * 1000);
    const idle = usageOf(coordinator.pid);
    swarm.joinLast();
    await Promise.race([coordinator.ended(), swarm.failed]);
    const endedMs = performance.timeOrigin + performance.now();
    const [first, last] = [marks[warmUp], marks[warmUp + measuredSteps]] as [StepMark, StepMark];
    const seconds = (last.atMs - first.atMs) / 1000;
    const idleShare = (idle.cpuSeconds - idleStart.cpuSeconds) / settings.idleSeconds;
    const cpuSeconds = last.usage.cpuSeconds - first.usage.cpuSeconds;
    const total = await swarm.end();
    const result = JSON.parse(readFileSync(join(coordinator.runFolder, 'result.json'), 'utf8')) as {
      readonly workers: { readonly leasesExpired: number; readonly answersRefused: number };
    };
    return {
      model,
      transport: certificates === undefined ? 'plain' : 'mTLS',
      workers,
      steps: measuredSteps,
      stepMs: spreadOf(marks.slice(warmUp + 1).map(({ atMs }, index) => atMs - (marks[warmUp + index] as StepMark).atMs)),
      cpuMsPerStep: (cpuSeconds * 1000) / measuredSteps,
      cpuMsPerWorker: ((cpuSeconds - idleShare * seconds) * 1000) / measuredSteps / workers,
      cpuShare: cpuSeconds / seconds,
      // Of all steps; one vector more up is that of the initial parameters, and down goes one version more than there are steps.
      megabytesUp: (total.bytesUp - elements * 4) / steps / 1e6,
      megabytesDown: total.bytesDown / (steps + 1) / 1e6,
      extraTasks: total.tasks - steps * workers,
      drops: total.drops,
      joinSeconds,
      joinCpuSeconds: joined.cpuSeconds - before.cpuSeconds,
      idleCpuPercent: idleShare * 100,
      idleMiB: idle.residentMiB,
      peakMiB: last.usage.peakMiB,
      endSeconds: (endedMs - last.atMs) / 1000,
      leasesExpired: result.workers.leasesExpired,
      answersRefused: result.workers.answersRefused,
    };
  } finally {
    swarm.close();
    await coordinator.close();
  }
}

function formatRows(rows: readonly Row[]): string {
  return formatTable(
    [
      'model',
      'transport',
      'workers',
      'ms a step (min - max)',
      'CPU ms a step',
      'us a worker',
      'MB up, down',
      'tasks too many',
      'leases lost, drops',
      'join s (CPU s)',
      'idle CPU %',
      'MiB idle, peak',
    ],
    rows.map((row) => [
      row.model,
      row.transport,
      row.workers,
      formatSpread(row.stepMs, 1),
      row.cpuMsPerStep.toFixed(1),
      (row.cpuMsPerWorker * 1000).toFixed(0),
      `${row.megabytesUp.toFixed(2)}, ${row.megabytesDown.toFixed(2)}`,
      row.extraTasks,
      `${row.leasesExpired}, ${row.drops}`,
      `${row.joinSeconds.toFixed(1)} (${row.joinCpuSeconds.toFixed(1)})`,
      row.idleCpuPercent.toFixed(1),
      `${row.idleMiB.toFixed(0)}, ${row.peakMiB.toFixed(0)}`,
    ]),
  );
}

/** How the cost of one worker, less heartbeats, changes with their number: 1 = in proportion, the ratio of the numbers = with the square. */
interface Growth {
  readonly model: Model;
  readonly fewest: number;
  readonly most: number;
  /** Cost per worker with the most over that with the fewest. */
  readonly cpuRatio: number;
  readonly stepRatio: number;
  /** Power of the number of workers that the coordinator's time a step, less heartbeats, grew with over the last two numbers. */
  readonly lastExponent: number;
}

function growthOf(model: Model, rows: readonly Row[]): Growth[] {
  const own = rows.filter((row) => row.model === model && row.transport === 'plain').toSorted((a, b) => a.workers - b.workers);
  const [first, last, beforeLast] = [own[0], own.at(-1), own.at(-2)];
  if (first === undefined || last === undefined || beforeLast === undefined) return [];
  const perWorker = ({ stepMs, workers }: Row): number => stepMs.median / workers;
  return [
    {
      model,
      fewest: first.workers,
      most: last.workers,
      cpuRatio: last.cpuMsPerWorker / first.cpuMsPerWorker,
      stepRatio: perWorker(last) / perWorker(first),
      lastExponent: 1 + Math.log(last.cpuMsPerWorker / beforeLast.cpuMsPerWorker) / Math.log(last.workers / beforeLast.workers),
    },
  ];
}

function formatGrowth({ model, fewest, most, cpuRatio, stepRatio, lastExponent }: Growth): string {
  return `${model}: a worker of ${most} costs ${cpuRatio.toFixed(2)} times the processor time (less heartbeats) of one of ${fewest}, ${stepRatio.toFixed(2)} times the time (${(most / fewest).toFixed(0)} would be quadratic); at the end the processor time grows with the power ${lastExponent.toFixed(2)} of the number`;
}

/** What mutual TLS costs over plain text: medians over the repetitions of one number of workers. */
interface TlsCost {
  readonly model: Model;
  readonly workers: number;
  /** Ratios of a repetition with mTLS to the one in plain text beside it. */
  readonly stepRatio: Spread;
  readonly cpuRatio: Spread;
  readonly joinRatio: Spread;
  /** More memory of the joined workers, in KiB per worker. */
  readonly kibPerWorker: Spread;
}

function tlsCostsOf(rows: readonly Row[]): TlsCost[] {
  const secure = rows.filter(({ transport }) => transport === 'mTLS');
  const plain = rows.filter(({ transport }) => transport === 'plain');
  // The rows of both come in the same order.
  const pairs = secure.map((row, index) => [row, plain[index] as Row] as const);
  const keys = [...new Set(secure.map(({ model, workers }) => `${model} ${workers}`))];
  return keys.map((key) => {
    const own = pairs.filter(([{ model, workers }]) => `${model} ${workers}` === key);
    const [{ model, workers }] = own[0] as (typeof own)[number];
    const spread = (value: (tls: Row, text: Row) => number): Spread => spreadOf(own.map(([tls, text]) => value(tls, text)));
    return {
      model,
      workers,
      stepRatio: spread((tls, text) => tls.stepMs.median / text.stepMs.median),
      cpuRatio: spread((tls, text) => tls.cpuMsPerStep / text.cpuMsPerStep),
      joinRatio: spread((tls, text) => tls.joinSeconds / text.joinSeconds),
      kibPerWorker: spread((tls, text) => ((tls.idleMiB - text.idleMiB) * 1024) / workers),
    };
  });
}

function formatTlsCost({ model, workers, stepRatio, cpuRatio, joinRatio, kibPerWorker }: TlsCost): string {
  return `${model}, ${workers} workers over mTLS against plain: step ${formatSpread(stepRatio, 2)}, processor ${formatSpread(cpuRatio, 2)}, join ${formatSpread(joinRatio, 2)}, ${kibPerWorker.median.toFixed(0)} KiB more per worker`;
}

const OPTIONS = {
  workers: wholeNumbers(10, 30, 100, 300, 1000),
  steps: wholeNumber(15),
  'idle-seconds': wholeNumber(4),
  processes: wholeNumber(2),
  models: someOf(MODELS),
  repeats: wholeNumber(1),
  tls: flag(),
  set: texts(),
  'cpu-prof': text(),
  json: flag(),
};

await runScript(HELP, OPTIONS, async ({ workers: counts, models, repeats, tls, json, ...values }, head) => {
  requireBuild();
  if (counts.some((count) => count < 2)) throw new DeepDefenseError('USAGE', { what: 'bad --workers', expected: 'at least 2 of them' });
  const { steps, 'idle-seconds': idleSeconds, processes, set, 'cpu-prof': cpuProf } = values;
  const settings: Settings = { steps, idleSeconds, processes, set, cpuProf };
  const most = Math.max(...counts);
  const rows: Row[] = [];
  const certificates = tls ? await benchCertificates() : undefined;
  try {
    for (let repeat = repeats; repeat > 0; repeat--)
      for (const model of models)
        for (const workers of counts)
          for (const shown of tls ? [undefined, certificates] : [undefined]) {
            const measuredSteps = steps * Math.min(MOST_REPEATS, Math.ceil(most / workers));
            const row = await withTemporaryFolder('swarm', (folder) => measure(model, workers, measuredSteps, shown, settings, folder));
            rows.push(row);
            process.stderr.write(
              `${model}, ${workers} workers, ${row.transport}: ${row.stepMs.median.toFixed(1)} ms a step, ${row.cpuMsPerStep.toFixed(1)} ms of processor time\n`,
            );
          }
  } finally {
    await certificates?.close();
  }
  const tlsCosts = tlsCostsOf(rows);
  const growth = models.flatMap((model) => growthOf(model, rows));
  const text = [formatRows(rows), ...growth.map(formatGrowth), ...tlsCosts.map(formatTlsCost)].join('\n');
  printResult(json, { ...head, ...settings, rows, growth, tlsCosts }, text);
});
