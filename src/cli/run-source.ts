/** @file What a training command works on: a new run, or one that goes on from its newest checkpoint. */
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Config } from '../config/index.ts';
import type { Checkpoint, RunResult } from '../coordinator/index.ts';
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import { readJournal } from '../journal/index.ts';
import { type ConfigOptions, configFromOptions } from './config-options.ts';
import { createRunId } from './run-id.ts';

/** A run that is ready to start. Without `resume` it begins at its first step, also in the folder of a run that was lost before its first checkpoint. */
export interface RunSource {
  readonly config: Config;
  readonly runId: string;
  readonly runFolder: string;
  /** False for a run that goes on in its folder. */
  readonly isNew: boolean;
  readonly resume?: Checkpoint;
  /** File that `resume` was read from. */
  readonly resumePath?: string;
  /** The run is over already: with a result, or with an error that its config leads to each time. */
  readonly end?: RunResult | DeepDefenseError;
}

/**
 * The run of this name below `runsFolder`: new, or going on from where it is. It has the config of the options; another one than the run
 * began with is refused.
 * @throws DeepDefenseError CONFIG_*, CHECKPOINT_*, STORAGE_FAILED
 */
export async function namedRun(options: ConfigOptions, runId: string, notice: (text: string) => void): Promise<RunSource> {
  const config = await configFromOptions(options);
  const runFolder = join(config.runsFolder, runId);
  try {
    const source = await resumedRun(runFolder, config, notice);
    const end = await endOfRun(runFolder);
    return end === undefined ? source : { ...source, end };
  } catch (error) {
    if (!isDeepDefenseError(error) || error.code !== 'CHECKPOINT_MISSING') throw error;
    // Not new: a process that runs it at the same time may have just made the folder.
    return { config, runId, runFolder, isNew: false };
  }
}

/** How a run has ended, if it has: a stop, or an error that may be gone the next time, is no end. */
async function endOfRun(runFolder: string): Promise<RunResult | DeepDefenseError | undefined> {
  const last = (await readJournal(join(runFolder, 'journal.jsonl'))).records.at(-1)?.event;
  if (last?.type !== 'run-finished') return undefined;
  if (last.state === 'completed') return JSON.parse(await readFile(join(runFolder, 'result.json'), 'utf8')) as RunResult;
  if (last.state !== 'failed' || !last.reason.startsWith('NON_FINITE_LOSS: ')) return undefined;
  return new DeepDefenseError('NON_FINITE_LOSS', { what: last.reason.slice('NON_FINITE_LOSS: '.length), fields: { runFolder } });
}

/**
 * A new run with an id of its own, or, with `resume`, the run in that folder under its own id. A resumed run has the config of its
 * folder unless the options name a file; `--set` may change keys that results don't depend on.
 * @throws DeepDefenseError CONFIG_*, CHECKPOINT_*.
 */
export async function runFromOptions(
  options: ConfigOptions,
  resume: string | undefined,
  notice: (text: string) => void,
): Promise<RunSource> {
  if (resume === undefined) {
    const config = await configFromOptions(options);
    const runId = createRunId(config.name);
    return { config, runId, runFolder: join(config.runsFolder, runId), isNew: true };
  }
  const runFolder = await findRunFolder(resume);
  const named = options.config !== undefined || options.preset !== undefined;
  return resumedRun(runFolder, await configFromOptions(named ? options : { ...options, config: join(runFolder, 'config.yaml') }), notice);
}

async function resumedRun(runFolder: string, config: Config, notice: (text: string) => void): Promise<RunSource> {
  const { findResumePoint } = await import('../coordinator/index.ts');
  const { runId, path, checkpoint, skipped } = await findResumePoint(runFolder, config);
  for (const { path: damaged, error } of skipped) notice(`passed over the checkpoint ${damaged} (${error.code}); resuming from ${path}`);
  if (checkpoint === undefined || path === undefined) {
    notice(`${runFolder} has no checkpoint yet: computing its steps again from the first`);
    return { config, runId, runFolder, isNew: false };
  }
  return { config, runId, runFolder, isNew: false, resume: checkpoint, resumePath: path };
}

/** A run by its folder, or by its id below `runs/`. */
async function findRunFolder(run: string): Promise<string> {
  for (const folder of [run, join('runs', run)]) {
    if ((await stat(folder).catch(() => undefined))?.isDirectory()) return folder;
  }
  throw new DeepDefenseError('CHECKPOINT_MISSING', {
    what: `there is no run folder "${run}"`,
    expected: `a folder, or the id of a run in ${resolve('runs')}`,
    todo: 'give the path of the run folder',
    fields: { run },
  });
}
