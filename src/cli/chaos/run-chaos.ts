/** @file A disturbed run and, for comparison, the same run undisturbed. */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../config/index.ts';
import { auditRun, readHistory, type RunResult } from '../../coordinator/index.ts';
import { DeepDefenseError } from '../../core/index.ts';
import { ChaosCluster } from './chaos-cluster.ts';
import { type Fault, type ScheduleOptions, scheduleFaults } from './fault-schedule.ts';
import { countKinds, recoveryOf, type ResilienceReport, withRecovery } from './resilience-report.ts';

export interface ChaosOptions extends Omit<ScheduleOptions, 'seconds'> {
  readonly config: Config;
  /** Length of the schedule; the run has the steps that fill it, or `train.maxSteps`. */
  readonly minutes: number;
  /** Also run undisturbed and compare. */
  readonly reference: boolean;
  /** Where runs and logs go; default: a new temporary folder. */
  readonly folder?: string | undefined;
  /** A line for people. */
  readonly notice: (text: string) => void;
}

/** Time between two looks at what was committed. */
const LOOK_MS = 10;
/** Seconds of undisturbed work that tell how many steps fill the time. */
const PACE_SECONDS = 15;

/** @throws DeepDefenseError when a process can't start or the run fails for another reason than the faults */
export async function runChaos(options: ChaosOptions): Promise<ResilienceReport> {
  const { workers, seed, notice, minutes } = options;
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'deepdefense-chaos-')));
  const maxSteps = options.config.train.maxSteps ?? (await stepsOfTime(options, join(folder, 'pace')));
  const config: Config = { ...options.config, train: { ...options.config.train, epochs: 1e6, maxSteps } };
  const seconds = minutes * 60;
  const faults = scheduleFaults({ ...options, seconds });
  const stepOf = ({ atSeconds }: Fault): number => Math.floor((atSeconds / seconds) * maxSteps);
  const disturbed = await play(config, workers, join(folder, 'disturbed'), faults, stepOf, notice);
  notice(`disturbed run: ${disturbed.seconds.toFixed(0)} s; ${options.reference ? 'now undisturbed' : 'auditing'}`);
  const audit = await auditRun(disturbed.runFolder);
  const { history } = await readHistory(disturbed.runFolder);
  const calm = options.reference ? await play(config, workers, join(folder, 'undisturbed'), [], stepOf, notice) : undefined;
  const applied = withRecovery(disturbed.applied, disturbed.steps);
  const reference = calm && {
    weightsSha256: calm.weightsSha256,
    seconds: calm.seconds,
    sameWeights: calm.weightsSha256 === disturbed.weightsSha256,
    goodput: calm.goodput,
  };
  return {
    runFolder: disturbed.runFolder,
    seed,
    workers,
    steps: audit.steps,
    recomputedSteps: history.voided.reduce((sum, { samples }) => sum + samples, 0) / config.train.batchSize,
    seconds: disturbed.seconds,
    faults: countKinds(applied),
    coordinatorRestarts: disturbed.coordinatorRestarts,
    recovery: recoveryOf(applied),
    coordinatorRecovery: recoveryOf(applied.filter(({ kind }) => kind === 'kill-coordinator')),
    weightsSha256: disturbed.weightsSha256,
    goodput: disturbed.goodput,
    audit,
    ...(reference && { reference, throughputKept: reference.seconds / disturbed.seconds }),
    passed: audit.passed && audit.state === 'completed' && (reference?.sameWeights ?? true),
  };
}

/** Steps that fill the time at the pace of an undisturbed run. */
async function stepsOfTime(options: ChaosOptions, folder: string): Promise<number> {
  const pace = await measurePace(options, folder);
  const steps = Math.max(10, Math.round(pace * options.minutes * 60));
  options.notice(`${pace.toFixed(1)} steps/s undisturbed: ${steps} steps in ${options.minutes} minute(s)`);
  return steps;
}

/** Committed steps per second of an undisturbed run that is then dropped. */
async function measurePace({ config, workers, notice }: ChaosOptions, folder: string): Promise<number> {
  notice(`measuring the pace of ${workers} workers for ${PACE_SECONDS} s`);
  const cluster = new ChaosCluster({
    config: { ...config, train: { ...config.train, epochs: 1e6, maxSteps: undefined } },
    workers,
    folder,
  });
  try {
    await cluster.start();
    await Promise.race([until(() => cluster.steps.length > 0), cluster.done]);
    const first = cluster.steps[0];
    const startMs = first?.atMs ?? 0;
    await Promise.race([until(() => performance.now() - startMs > PACE_SECONDS * 1000), cluster.done]);
    const last = cluster.steps.at(-1);
    if (first === undefined || last === undefined || last.atMs === startMs)
      throw new DeepDefenseError('WORKERS_LOST', { what: 'no step was committed', todo: `see ${join(folder, 'logs')}` });
    return (last.committed - first.committed) / ((last.atMs - startMs) / 1000);
  } finally {
    await cluster.close();
  }
}

/** One run, each fault applied when the step that `stepOf` gives is committed: at the same place whatever the machine's speed. */
async function play(
  config: Config,
  workers: number,
  folder: string,
  faults: readonly Fault[],
  stepOf: (fault: Fault) => number,
  notice: (text: string) => void,
) {
  const cluster = new ChaosCluster({ config, workers, folder });
  const applied: (Fault & { readonly atMs: number })[] = [];
  let timer: NodeJS.Timeout | undefined;
  try {
    await cluster.start();
    await Promise.race([until(() => cluster.steps.length > 0), cluster.done]);
    const startMs = cluster.steps[0]?.atMs ?? 0;
    const pending = faults.map((fault) => ({ fault, step: stepOf(fault) }));
    timer = setInterval(() => {
      const committed = cluster.steps.at(-1)?.committed ?? 0;
      while (pending[0] !== undefined && pending[0].step <= committed) {
        const { fault } = pending.shift() as { fault: Fault };
        const atMs = performance.now();
        const hit = cluster.apply(fault);
        if (hit) applied.push({ ...fault, atMs });
        notice(
          `step ${committed}: ${fault.kind}${fault.worker === undefined ? '' : ` worker ${fault.worker}`}${hit ? '' : ' (not running: nothing hit)'}`,
        );
      }
    }, LOOK_MS);
    await cluster.done;
    const { steps, runFolder = '', coordinatorRestarts } = cluster;
    const { weightsSha256, goodput } = JSON.parse(await readFile(join(runFolder, 'result.json'), 'utf8')) as RunResult;
    return {
      runFolder,
      weightsSha256,
      goodput,
      steps,
      applied,
      coordinatorRestarts,
      seconds: ((steps.at(-1)?.atMs ?? 0) - startMs) / 1000,
    };
  } finally {
    clearInterval(timer);
    await cluster.close();
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}
