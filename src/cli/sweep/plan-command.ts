/** @file `sweep plan`: what a sweep will take on machines like this one, before it is started. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadSweep, resolveConfig, type SweepSource } from '../../config/index.ts';
import { planSweep, type SweepPlan, SweepState } from '../../coordinator/index.ts';
import { openDataset } from '../../data/index.ts';
import { trainingPasses } from '../../sweeps/index.ts';
import { createMetrics, type Logger } from '../../telemetry/index.ts';
import type { CommandTools } from '../command-definition.ts';
import { runGang } from './gang-run.ts';
import { duration } from './show-sweep.ts';

export interface SweepPlanCommandOptions {
  readonly config: string;
  readonly set: readonly string[];
  readonly data?: string;
  readonly workers: number;
}

/** Steps that are timed; the first ones are slower, so the plan is on the long side. */
const TIMED_STEPS = 60;
const TESTED = 100;

interface Pace {
  readonly secondsPerMillionPasses: number;
  readonly secondsPerPart: number;
}

export async function runSweepPlan(
  { config: file, set, data, workers }: SweepPlanCommandOptions,
  { context }: CommandTools,
): Promise<void> {
  const surroundings = context();
  const source = await loadSweep({ file, assignments: set, options: data === undefined ? undefined : { data: { path: resolve(data) } } });
  // What is wrong with the space is said before any time is spent.
  SweepState.fresh(source);
  if (source.sweep.function === undefined)
    surroundings.notice(
      `timing ${TIMED_STEPS} training steps of the base config on ${source.sweep.gang === 1 ? 'one worker' : `a gang of ${source.sweep.gang} workers`}`,
    );
  const pace = await paceOf(source, await surroundings.logger());
  const counts = [...new Set([1, workers, 2 * workers, 4 * workers])].filter((count) => count > 0).sort((a, b) => a - b);
  const plan = planSweep(source, { workers: counts, ...pace });
  surroundings.result({ ...pace, ...plan }, describePlan(plan, pace, source));
}

/** How fast one worker is here: a short run of the base config, timed. */
async function paceOf({ sweep, base }: SweepSource, logger: Logger): Promise<Pace> {
  // A test function's part counts as one million passes.
  if (sweep.function !== undefined) return { secondsPerMillionPasses: sweep.functionSeconds, secondsPerPart: 0 };
  const wanted = resolveConfig(base);
  const config = {
    ...wanted,
    data: { ...wanted.data, testSamples: TESTED },
    train: { ...wanted.train, maxSteps: TIMED_STEPS },
    evaluation: { ...wanted.evaluation, attacks: [] },
  };
  const { source, path, label } = config.data;
  const dataset = await openDataset({ source, path, label });
  const folder = await mkdtemp(join(tmpdir(), 'deepdefense-plan-'));
  try {
    const startedMs = performance.now();
    const quiet = Object.assign(Object.create(logger) as Logger, { info: () => {}, warn: () => {} });
    const { samplesPerSecond } = await runGang({
      gang: sweep.gang,
      config,
      runFolder: join(folder, 'run'),
      runId: 'plan',
      dataset,
      placement: {},
      logger: quiet,
      metrics: createMetrics('coordinator', { processMetrics: false }),
      workerMetrics: createMetrics('worker', { processMetrics: false }),
    });
    const seconds = (performance.now() - startedMs) / 1000;
    return {
      secondsPerMillionPasses: 1e6 / (samplesPerSecond * trainingPasses(config)),
      secondsPerPart: Math.max(0, seconds - (TIMED_STEPS * config.train.batchSize) / samplesPerSecond),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function describePlan({ candidates, measurements, workerHours, finish }: SweepPlan, pace: Pace, { sweep }: SweepSource): string {
  const hours = ({ median, low, high }: SweepPlan['workerHours']) =>
    `${duration(median * 3600)} (${duration(low * 3600)} to ${duration(high * 3600)})`;
  return [
    `${candidates} candidates with ${sweep.seeds.length} ${sweep.seeds.length === 1 ? 'seed' : 'seeds'}, ${sweep.sampler.name} with ${sweep.scheduler.name}, ${sweep.lanes} lanes`,
    ...measurements.map(({ epochs, attacks, trials: { median, low, high } }) => {
      const range = low === high ? `${median}` : `${median} (${low} to ${high})`;
      return `  ${range} trials measured after ${epochs} epochs${attacks.length === 0 ? '' : ` under ${attacks.join(', ')}`}`;
    }),
    `worker time ${hours(workerHours)}: ${pace.secondsPerMillionPasses.toPrecision(3)} s per million passes and ${pace.secondsPerPart.toFixed(1)} s per trial and rung, measured here`,
    ...finish.map(({ workers, hours: left }) => `  ${workers} ${workers === 1 ? 'worker ends' : 'workers end'} after ${hours(left)}`),
    'median (smallest to largest) of 15 plays with made-up results; attacks by estimate; workers on one processor slow each other down',
  ].join('\n');
}
