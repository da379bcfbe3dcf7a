/** @file The checkpoints of one run: written under their step, the newest N and the best one kept. */
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import { type Checkpoint, type CheckpointReceipt, type LoadOptions, loadCheckpoint, missing, saveCheckpoint } from './checkpoint.ts';

const FILE_NAME = /^step-(\d{8,})\.safetensors$/;
/** Left behind by a process that was killed in mid-write. */
const TEMPORARY = /^step-\d{8,}\.safetensors\.tmp-/;

/** A checkpoint that couldn't be used on the way to an older one. */
export interface SkippedCheckpoint {
  readonly path: string;
  readonly error: DeepDefenseError;
}

/** The folder `checkpoints` of a run. One writer at a time. */
export class CheckpointFolder {
  readonly path: string;
  readonly #keep: number;
  #best: { readonly step: number; readonly accuracy: number } | undefined;

  private constructor(path: string, keep: number) {
    this.path = path;
    this.#keep = keep;
  }

  /**
   * Opens a folder, which need not exist. Parts of writes that were cut short are removed; damaged checkpoints get the suffix
   * `.damaged`, so that they don't count among the newest.
   * @param keep newest checkpoints kept besides the best, >= 1.
   */
  static async open(path: string, keep: number): Promise<CheckpointFolder> {
    const folder = new CheckpointFolder(path, keep);
    const names = await list(path);
    for (const name of names.filter((candidate) => TEMPORARY.test(candidate))) await rm(join(path, name), { force: true });
    for (const name of names.filter((candidate) => FILE_NAME.test(candidate))) {
      try {
        const { step, cleanAccuracy } = await loadCheckpoint(join(path, name));
        folder.#consider(step, cleanAccuracy);
      } catch (error) {
        if (!isDamage(error)) throw error;
        await rename(join(path, name), join(path, `${name}.damaged`));
      }
    }
    return folder;
  }

  /** Committed steps of the checkpoint with the best clean accuracy; undefined when none was measured. */
  get bestStep(): number | undefined {
    return this.#best?.step;
  }

  /** Committed steps of the checkpoints there, ascending. */
  async steps(): Promise<number[]> {
    return (await checkpointFiles(this.path)).map(({ step }) => step);
  }

  /**
   * Writes `step-<step>.safetensors` and removes all but the newest and the best (the earlier one of equal accuracies).
   * A checkpoint of the same step is replaced and hands on its accuracy, because equal steps have equal parameters.
   * @throws DeepDefenseError STORAGE_FAILED
   */
  async write(checkpoint: Checkpoint): Promise<CheckpointReceipt> {
    const known = this.#best?.step === checkpoint.step ? this.#best.accuracy : null;
    const path = join(this.path, fileName(checkpoint.step));
    const receipt = await saveCheckpoint(path, { ...checkpoint, cleanAccuracy: checkpoint.cleanAccuracy ?? known });
    this.#consider(checkpoint.step, checkpoint.cleanAccuracy);
    const steps = await this.steps();
    const kept = new Set([...steps.slice(-this.#keep), this.#best?.step, checkpoint.step]);
    for (const step of steps) if (!kept.has(step)) await rm(join(this.path, fileName(step)), { force: true });
    return receipt;
  }

  #consider(step: number, accuracy: number | null): void {
    if (accuracy === null) return;
    const best = this.#best;
    if (best === undefined || accuracy > best.accuracy || (accuracy === best.accuracy && step < best.step)) this.#best = { step, accuracy };
  }
}

/**
 * Loads the newest usable checkpoint of a folder. Damaged files are passed over (an older checkpoint leads to the same weights) and
 * reported; a checkpoint of another model or config is an error at once.
 * @throws DeepDefenseError CHECKPOINT_MISSING when there is none, or what {@link loadCheckpoint} throws.
 */
export async function loadNewestCheckpoint(
  folder: string,
  options: LoadOptions = {},
): Promise<{ readonly path: string; readonly checkpoint: Checkpoint; readonly skipped: readonly SkippedCheckpoint[] }> {
  const skipped: SkippedCheckpoint[] = [];
  for (const { path } of (await checkpointFiles(folder)).reverse()) {
    try {
      return { path, checkpoint: await loadCheckpoint(path, options), skipped };
    } catch (error) {
      if (!isDamage(error)) throw error;
      skipped.push({ path, error });
    }
  }
  throw skipped[0]?.error ?? missing(folder);
}

/** The checkpoint files of a folder, oldest step first. */
export async function checkpointFiles(folder: string): Promise<{ readonly name: string; readonly path: string; readonly step: number }[]> {
  const names = (await list(folder)).filter((name) => FILE_NAME.test(name));
  return names.map((name) => ({ name, path: join(folder, name), step: stepOf(name) })).sort((a, b) => a.step - b.step);
}

/** `step-00000200.safetensors`. */
function fileName(step: number): string {
  return `step-${String(step).padStart(8, '0')}.safetensors`;
}

function stepOf(name: string): number {
  return Number(FILE_NAME.exec(name)?.[1]);
}

/** True for an error that an older checkpoint can make up for. */
export function isDamage(error: unknown): error is DeepDefenseError {
  return isDeepDefenseError(error) && (error.code === 'CHECKPOINT_TRUNCATED' || error.code === 'CHECKPOINT_CORRUPT');
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new DeepDefenseError('STORAGE_FAILED', {
      what: `can't read the folder "${folder}"`,
      got: String(cause),
      fields: { path: folder },
      cause,
    });
  }
}
