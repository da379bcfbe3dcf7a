/** @file A lock file, so that two processes don't write the same download or run folder. */
import { readFileSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { DeepDefenseError, type ErrorCode } from './errors.ts';

/** Locks of this process; a lock file with our own process id that isn't among them is a leftover. */
const held = new Set<string>();

/** Who has taken a lock. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** See {@link startOf}; older versions didn't write it. */
  readonly started?: string;
}

export interface FileLockOptions {
  /** What the holder does, for the error message: "another process is busy ...". */
  readonly purpose: string;
  /** Code of the error when another process holds the lock. */
  readonly code: ErrorCode;
}

/**
 * Takes the lock file at `path`; the returned function gives it back. A lock left by a process of this machine that is gone is taken over.
 * @throws DeepDefenseError `options.code` when another process holds the lock; STORAGE_FAILED
 */
export async function takeFileLock(path: string, options: FileLockOptions): Promise<() => Promise<void>> {
  await acquire(path, options);
  held.add(path);
  return async () => {
    held.delete(path);
    await rm(path, { force: true });
  };
}

/** Runs `action` while holding the lock file at `path`; see {@link takeFileLock}. */
export async function withFileLock<T>(path: string, options: FileLockOptions, action: () => Promise<T>): Promise<T> {
  const release = await takeFileLock(path, options);
  try {
    return await action();
  } finally {
    await release();
  }
}

async function acquire(path: string, { purpose, code }: FileLockOptions): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      const handle = await open(path, 'wx');
      await handle.writeFile(JSON.stringify({ pid: process.pid, host: hostname(), started: startOf(process.pid) }));
      await handle.close();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw cannotLock(path, error);
    }
    const holder = await readHolder(path);
    if (attempt === 0 && holder?.host === hostname() && isLeftover(path, holder)) {
      await rm(path, { force: true });
      continue;
    }
    throw new DeepDefenseError(code, {
      what: `another process is busy ${purpose}`,
      got: holder === undefined ? `lock file "${path}"` : `process ${holder.pid} on "${holder.host}" holds "${path}"`,
      todo: 'wait until it has finished; if no such process runs, delete the lock file',
      fields: { path },
    });
  }
}

function cannotLock(path: string, cause: unknown): DeepDefenseError {
  return new DeepDefenseError('STORAGE_FAILED', {
    what: `can't make the lock file "${path}"`,
    got: cause instanceof Error ? cause.message : String(cause),
    todo: 'check free space and permissions of the folder',
    fields: { path },
    cause,
  });
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const { pid, host, started } = JSON.parse(await readFile(path, 'utf8')) as Partial<Record<keyof Holder, unknown>>;
    if (typeof pid !== 'number' || typeof host !== 'string') return undefined;
    return { pid, host, ...(typeof started === 'string' && { started }) };
  } catch {
    return undefined;
  }
}

/**
 * Boot of the machine and start of a process, from /proc; undefined without one, or where there is no such process. Tells it from a later one
 * with the same id: in a container ids begin anew at each start, and a thread of the next process may have that of the last one.
 */
function startOf(pid: number): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything. Field 22, in clock ticks since the boot.
    return `${boot} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return undefined;
  }
}

function isLeftover(path: string, { pid, started }: Holder): boolean {
  if (started !== undefined && startOf(process.pid) !== undefined && startOf(pid) !== started) return true;
  if (pid === process.pid) return !held.has(path);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    // EPERM: there is such a process, of another user.
    return (error as NodeJS.ErrnoException).code !== 'EPERM';
  }
}
