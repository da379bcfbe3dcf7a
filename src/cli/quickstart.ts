/** @file The quick start: trains each strategy on the same data with the same seed, then compares them in a table and a page. */
import { join } from 'node:path';
import { type ConfigInput, resolveConfig } from '../config/index.ts';
import type { RunResult } from '../coordinator/index.ts';
import { formatTable, readRun, writeReport } from '../reports/index.ts';
import type { CommandContext } from './context.ts';
import { openQuickstartData } from './quickstart-data.ts';
import { QUICKSTART_CONFIG, QUICKSTART_STRATEGIES } from './quickstart-sizes.ts';
import { createRunId } from './run-id.ts';
import { trainHere } from './training-session.ts';

export interface QuickstartOptions {
  readonly data?: string;
  /** Worker processes of each run, >= 1. */
  readonly workers: number;
  /** Folder below which the quick start's own folder is made. */
  readonly runsFolder: string;
}

export interface QuickstartOutcome {
  /** For `--json`. */
  readonly document: Record<string, unknown>;
  readonly text: string;
  readonly interrupted: boolean;
}

/**
 * Trains and compares. The folder `<runsFolder>/quickstart-<time>` holds one run folder per strategy and `report.html`.
 * A signal ends the run that is going on and skips the others.
 */
export async function quickstart(context: CommandContext, { data, workers, runsFolder }: QuickstartOptions): Promise<QuickstartOutcome> {
  const startedMs = performance.now();
  const opened = await openQuickstartData(data, context);
  const folder = join(runsFolder, createRunId('quickstart'));
  context.notice(`data: ${opened.dataset.name}; folder: ${folder}`);
  const results: RunResult[] = [];
  let interrupted = false;
  for (const strategy of QUICKSTART_STRATEGIES) {
    const input: ConfigInput = {
      ...QUICKSTART_CONFIG,
      evaluation: {
        ...QUICKSTART_CONFIG.evaluation,
        attacks: [...QUICKSTART_CONFIG.evaluation.attacks],
        epsLinf: [...QUICKSTART_CONFIG.evaluation.epsLinf],
      },
      name: strategy,
      runsFolder: folder,
      data: { ...QUICKSTART_CONFIG.data, source: opened.source, ...(data === undefined ? {} : { path: data }) },
      strategy: { name: strategy },
    };
    const outcome = await trainHere({
      isNew: true,
      context,
      config: resolveConfig(input, 'quick start'),
      dataset: opened.dataset,
      runId: createRunId(strategy),
      runFolder: join(folder, strategy),
      workers,
      workerArgs: data === undefined ? [] : ['--data', data],
    });
    results.push(outcome.result);
    interrupted ||= outcome.interrupted;
    if (interrupted) break;
  }
  const report = join(folder, 'report.html');
  const folders = results.map(({ runFolder }) => runFolder);
  await writeReport(folders, report);
  const seconds = (performance.now() - startedMs) / 1000;
  const notices = opened.notice === undefined ? [] : [opened.notice];
  const text = [
    formatTable(await Promise.all(folders.map(readRun))),
    `data: ${opened.dataset.name}`,
    ...notices,
    `HTML summary: ${report}`,
    `run folders: ${folders.join(', ')} (${seconds.toFixed(0)} s in all)`,
  ].join('\n');
  return { document: { folder, report, dataset: opened.dataset.name, notices, seconds, runs: results }, text, interrupted };
}
