/** @file What a training command works on: a new run, or one that goes on from its newest checkpoint. */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Config } from '../config/index.ts';
import type { Checkpoint } from '../coordinator/index.ts';
import { DeepDefenseError } from '../core/index.ts';
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
  const { findResumePoint } = await import('../coordinator/index.ts');
  const named = options.config !== undefined || options.preset !== undefined;
  const config = await configFromOptions(named ? options : { ...options, config: join(runFolder, 'config.yaml') });
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
