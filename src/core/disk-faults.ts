/**
 * @file Disk faults on demand, for `deepdefense chaos`: the file that DEEPDEFENSE_DISK_FAULTS names holds {"delayMs", "full"}, and each
 * write waits so long, or fails as on a full disk. Without the variable nothing is looked at.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';

/** Content of the file. */
export interface DiskFaults {
  /** Milliseconds that each write waits. */
  readonly delayMs?: number;
  /** True: writes fail with ENOSPC. */
  readonly full?: boolean;
}

/**
 * To be awaited before a write.
 * @throws Error with code ENOSPC
 */
export async function diskFault(file: string | undefined = process.env.DEEPDEFENSE_DISK_FAULTS): Promise<void> {
  if (file === undefined) return;
  const text = await readFile(file, 'utf8').catch(() => '');
  if (text === '') return;
  const { delayMs = 0, full = false } = JSON.parse(text) as DiskFaults;
  if (delayMs > 0) await wait(delayMs);
  if (full) throw Object.assign(new Error('ENOSPC: no space left on device (a fault that was asked for)'), { code: 'ENOSPC' });
}
