/** @file What `train` and `coordinator` share: from options to the printed result. */
import type { GoodputReport } from '../coordinator/index.ts';
import { EXIT_CODES } from '../core/index.ts';
import type { CommandTools } from './command-definition.ts';
import type { ConfigOptions } from './config-options.ts';

export interface TrainCommandOptions extends ConfigOptions {
  readonly resume?: string;
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
  const { runFromOptions } = await import('./run-source.ts');
  const run = await runFromOptions(options, options.resume, (text) => surroundings.notice(text));
  const { openDataset } = await import('../data/index.ts');
  const { dataProgressPrinter } = await import('./data-progress.ts');
  const { source, path, label } = run.config.data;
  const dataset = await openDataset({ source, path, label, onProgress: dataProgressPrinter(surroundings) });
  const { trainHere } = await import('./training-session.ts');
  const workerArgs = path === undefined ? [] : ['--data', path];
  const { result, interrupted } = await trainHere({ context: surroundings, ...run, dataset, workers, workerArgs });
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
  if (interrupted) setExitCode(EXIT_CODES.INTERRUPTED);
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
