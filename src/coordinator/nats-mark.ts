/** @file The file in a sweep's folder that says that the sweep is kept on NATS, and where. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeepDefenseError, writeFileAtomic } from '../core/index.ts';
import { SWEEP_NATS } from './sweep-backend.ts';

export interface NatsMark {
  /** As in `--nats`; without passwords. */
  readonly servers: string;
  readonly sweepId: string;
}

/** @returns undefined when the folder keeps the sweep itself. @throws DeepDefenseError STORAGE_FAILED */
export async function readNatsMark(folder: string): Promise<NatsMark | undefined> {
  const path = join(folder, SWEEP_NATS);
  try {
    return JSON.parse(await readFile(path, 'utf8')) as NatsMark;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new DeepDefenseError('STORAGE_FAILED', { what: `can't read "${path}"`, got, fields: { path }, cause });
  }
}

export async function writeNatsMark(folder: string, mark: NatsMark): Promise<void> {
  await writeFileAtomic(join(folder, SWEEP_NATS), `${JSON.stringify(mark)}\n`);
}
