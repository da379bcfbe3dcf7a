/** @file What `train` and `coordinator` share: from options to the printed result. */
import type { Config } from '../config/index.ts';
import type { GoodputReport, RunResult } from '../coordinator/index.ts';
import { DeepDefenseError, EXIT_CODES, isDeepDefenseError } from '../core/index.ts';
import type { CommandTools } from './command-definition.ts';
import type { ConfigOptions } from './config-options.ts';
import type { CommandContext } from './context.ts';

export interface TrainCommandOptions extends ConfigOptions {
  readonly resume?: string;
  /** Name of the run; it goes on where it is. */
  readonly id?: string;
  /** Serves the result when the run is over, until a signal comes. */
  readonly stay?: boolean;
}

/**
 * Loads config and data, trains and prints.
 * @param workers worker processes to start; 0 = none.
 */
export async function runTrainCommand(
  options: TrainCommandOptions,
  workers: number,
  { context, setExitCode }: CommandTools,
): Promise<void> {
  const surroundings = context();
  const { id, resume, stay = false } = options;
  if (id !== undefined && resume !== undefined) throw oneName();
  const { namedRun, runFromOptions } = await import('./run-source.ts');
  const notice = (text: string) => surroundings.notice(text);
  const run = id === undefined ? await runFromOptions(options, resume, notice) : await namedRun(options, id, notice);
  if (run.end !== undefined) {
    notice(`the run ${run.runId} is over already`);
    return endRun(run.end, run.config, { surroundings, stay });
  }
  const shortage = checkWorkerCount(run.config.cluster, workers);
  if (shortage !== undefined) surroundings.notice(shortage);
  const { openDataset } = await import('../data/index.ts');
  const { dataProgressPrinter } = await import('./data-progress.ts');
  const { source, path, label } = run.config.data;
  const dataset = await openDataset({ source, path, label, onProgress: dataProgressPrinter(surroundings) });
  const { trainHere } = await import('./training-session.ts');
  const workerArgs = path === undefined ? [] : ['--data', path];
  try {
    const { result, interrupted } = await trainHere({ context: surroundings, ...run, dataset, workers, workerArgs, hasSuccessor: stay });
    if (interrupted) setExitCode(EXIT_CODES.INTERRUPTED);
    await endRun(result, run.config, { surroundings, stay });
  } catch (error) {
    // Its config leads there each time; others may be gone when the run goes on.
    if (!stay || !isDeepDefenseError(error) || error.code !== 'NON_FINITE_LOSS') throw error;
    await endRun(error, run.config, { surroundings, stay });
  }
}

/** Prints the result of a run, and stays to serve it where that is asked for and the run is over. @throws the error that ended the run */
async function endRun(
  end: RunResult | DeepDefenseError,
  { cluster: { host, httpPort } }: Config,
  { surroundings, stay }: { readonly surroundings: CommandContext; readonly stay: boolean },
): Promise<void> {
  const { stay: serve } = await import('./stay.ts');
  const place = { context: surroundings, host, httpPort };
  if (isDeepDefenseError(end)) {
    if (stay) {
      surroundings.notice(`error ${end.code}: ${end.message}`);
      await serve({ ...place, reason: `failed, ${end.code}: ${end.parts.what}`, result: undefined });
    }
    throw end;
  }
  await printResult(end, surroundings);
  if (stay && end.state === 'completed')
    await serve({ ...place, reason: `completed, ${end.steps} steps, weights ${end.weightsSha256.slice(0, 12)}`, result: end });
}

async function printResult(result: RunResult, surroundings: CommandContext): Promise<void> {
  const { formatTable, readRun } = await import('../reports/index.ts');
  const lines = [
    formatTable([await readRun(result.runFolder)]),
    describeGoodput(result.goodput),
    `weights ${result.weightsSha256}`,
    `run folder ${result.runFolder}`,
  ];
  if (result.state === 'stopped' && result.steps > 0)
    lines.push(`stopped after step ${result.steps}; go on with: deepdefense train --resume ${result.runFolder}`);
  surroundings.result(result, lines.join('\n'));
}

function oneName(): DeepDefenseError {
  return new DeepDefenseError('USAGE', {
    what: '--id and --resume both name the run',
    expected: 'one of them: --id goes on by itself where the run is',
  });
}

/**
 * Fewer worker processes than `cluster.minWorkers` never start a step by themselves.
 * @param workers worker processes to start; 0 = all come from elsewhere, which is what the user asked for.
 * @returns a warning where workers may join from elsewhere, as the coordinator has an address of its own there; else undefined.
 * @throws DeepDefenseError USAGE where nobody else is expected: on any free port of this machine alone.
 */
export function checkWorkerCount({ host, port, minWorkers }: Config['cluster'], workers: number): string | undefined {
  if (workers === 0 || workers >= minWorkers) return undefined;
  const missing = minWorkers - workers;
  if (port !== 0 || !isLoopback(host))
    return `warning: steps wait for ${minWorkers} workers and ${workers} are started here: ${missing} must join from elsewhere`;
  throw new DeepDefenseError('USAGE', {
    what: 'no step could start: the run needs more workers than "train" starts',
    expected: `--workers of at least ${minWorkers}, as many as --min-workers (cluster.minWorkers) asks for`,
    got: `--workers ${workers}`,
    todo: `give --workers ${minWorkers} or --min-workers ${workers}; where others are to join, set cluster.port, or cluster.host for those on other machines`,
    fields: { workers, minWorkers },
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** `worker time 83 % useful, 9 % coordinator, 8 % evaluation`; what rounds to 0 % is left out. */
export function describeGoodput({ seconds }: GoodputReport): string {
  const total = Object.values(seconds).reduce((sum, value) => sum + value, 0);
  const shares = Object.entries(seconds)
    .map(([state, value]) => ({ state, percent: Math.round((value / total) * 100) }))
    .filter(({ percent }) => percent > 0)
    .map(({ state, percent }) => `${percent} % ${state}`);
  return `worker time ${shares.length === 0 ? 'none' : shares.join(', ')}`;
}
