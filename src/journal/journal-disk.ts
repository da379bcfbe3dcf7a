/** @file The disk below a journal. */
import { mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DeepDefenseError, diskFault } from '../core/index.ts';

/** A file open for appending; a FileHandle is one. */
export interface JournalFile {
  appendFile(text: string): Promise<void>;
  datasync(): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Injected, so that a test can stop the machine between any two of these calls. */
export interface JournalDisk {
  /** Makes the file and its folder where missing. */
  openForAppend(path: string): Promise<JournalFile>;
  readFile(path: string): Promise<Buffer>;
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  truncate(path: string, bytes: number): Promise<void>;
}

/** The machine's. */
export const systemDisk: JournalDisk = {
  openForAppend: async (path) => {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(path, 'a');
    return process.env.DEEPDEFENSE_DISK_FAULTS === undefined ? handle : disturbed(handle);
  },
  readFile,
  writeFile,
  truncate,
};

/** Appends meet the faults that `deepdefense chaos` asks for. */
const disturbed = (handle: JournalFile): JournalFile => ({
  appendFile: async (text) => {
    await diskFault();
    await handle.appendFile(text);
  },
  datasync: () => handle.datasync(),
  sync: () => handle.sync(),
  close: () => handle.close(),
});

export function storageError(verb: string, path: string, cause: unknown): DeepDefenseError {
  if (cause instanceof DeepDefenseError) return cause;
  return new DeepDefenseError('STORAGE_FAILED', {
    what: `can't ${verb} the journal "${path}"`,
    got: cause instanceof Error ? cause.message : String(cause),
    todo: 'check free space and permissions of the folder',
    fields: { path },
    cause,
  });
}
