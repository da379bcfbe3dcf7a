/**
 * @file Where a trial trains. Every claim has a folder of its own, because a worker that was taken for dead may still write to the one it
 * had; a later claim goes on from a copy of the furthest one.
 */
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Config } from '../../config/index.ts';
import { type Checkpoint, checkpointFiles, findResumePoint } from '../../coordinator/index.ts';
import { DeepDefenseError, isDeepDefenseError } from '../../core/index.ts';

export interface TrialFolder {
  readonly runFolder: string;
  /** Where training goes on; undefined = from the first step. */
  readonly resume: Checkpoint | undefined;
  readonly resumePath: string | undefined;
}

export interface TrialFolderRequest {
  /** Folder of all trials. */
  readonly root: string;
  readonly trial: string;
  /** Epoch of the claim. */
  readonly epoch: number;
  readonly config: Config;
  /** Checkpoints beyond it are of no use. */
  readonly mostSteps: number;
  /** What is there is not used. */
  readonly fromScratch: boolean;
  readonly note: (text: string) => void;
}

const ATTEMPT = /^attempt-(\d+)$/;
/** All that a claim leaves, also when it is killed. */
const REMAINS = /attempt-(\d+)(?:\.|$)/;
/** Characters of a trial's id that name its folder. */
const ID_LENGTH = 16;
/** What a run needs to go on, besides its checkpoint. The journal last: it must know of the checkpoint. */
const KEPT_FILES = ['config.yaml', 'sample-hashes.bin', 'journal.jsonl'];

/**
 * The folder of a trial, with all its attempts.
 * @throws DeepDefenseError PROTOCOL_BAD_MESSAGE for an id that is none: it comes over the network, and becomes part of a path
 */
export function folderOfTrial(root: string, trial: string): string {
  if (!/^[0-9a-f]{64}$/.test(trial))
    throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
      what: 'the id of a trial is none',
      expected: '64 hexadecimal digits',
      got: JSON.stringify(trial.slice(0, 80)),
    });
  return join(root, trial.slice(0, ID_LENGTH));
}

/** Where the weights of a trial on a rung are kept for its forks. */
export function rungFile(root: string, trial: string, rung: number): string {
  return join(folderOfTrial(root, trial), `rung-${rung}.safetensors`);
}

/** Keeps the newest checkpoint of a run for forks. Whoever does it for the same trial and rung writes the same weights. */
export async function keepRung(runFolder: string, file: string): Promise<void> {
  const newest = (await checkpointFiles(join(runFolder, 'checkpoints'))).at(-1);
  if (newest === undefined) throw new DeepDefenseError('INTERNAL', { what: `the trial in "${runFolder}" has left no checkpoint` });
  const temporary = `${file}.tmp-${basename(runFolder)}`;
  await copyFile(newest.path, temporary);
  await rename(temporary, file);
}

/** Makes the folder of a claim, with the furthest checkpoint of the claims before it. */
export async function openTrialFolder(request: TrialFolderRequest): Promise<TrialFolder> {
  const { root, trial, epoch, config, fromScratch } = request;
  const folder = folderOfTrial(root, trial);
  await mkdir(folder, { recursive: true });
  const runFolder = join(folder, `attempt-${epoch}`);
  const names = await readdir(folder);
  const earlierOnes = (pattern: RegExp) => names.filter((name) => Number(pattern.exec(name)?.[1] ?? Number.POSITIVE_INFINITY) < epoch);
  const earlier = earlierOnes(ATTEMPT);
  const best = fromScratch
    ? undefined
    : await furthest(
        earlier.map((name) => join(folder, name)),
        request,
      );
  if (best !== undefined) await copyRun(best.folder, best.path, runFolder);
  // Only what is older: a claim that is newer than this one has the trial now.
  for (const name of earlierOnes(REMAINS)) await rm(join(folder, name), { recursive: true, force: true });
  if (best === undefined) return { runFolder, resume: undefined, resumePath: undefined };
  const { checkpoint, path } = await findResumePoint(runFolder, config);
  return { runFolder, resume: checkpoint, resumePath: path };
}

async function furthest(
  folders: readonly string[],
  { config, mostSteps, note }: TrialFolderRequest,
): Promise<{ readonly folder: string; readonly path: string; readonly step: number } | undefined> {
  let best: { folder: string; path: string; step: number } | undefined;
  for (const folder of folders) {
    try {
      const { checkpoint, path } = await findResumePoint(folder, config);
      if (checkpoint === undefined || path === undefined || checkpoint.step > mostSteps || checkpoint.step <= (best?.step ?? -1)) continue;
      best = { folder, path, step: checkpoint.step };
    } catch (error) {
      if (!isDeepDefenseError(error)) throw error;
      // The same steps lead to the same weights, from whatever checkpoint or from the beginning.
      if (error.code !== 'CHECKPOINT_MISSING') note(`passed over ${folder}: ${error.parts.what}`);
    }
  }
  return best;
}

async function copyRun(from: string, checkpoint: string, to: string): Promise<void> {
  const temporary = `${to}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(join(temporary, 'checkpoints'), { recursive: true });
  await copyFile(checkpoint, join(temporary, 'checkpoints', basename(checkpoint)));
  for (const name of KEPT_FILES) await copyFile(join(from, name), join(temporary, name));
  await rename(temporary, to);
}
