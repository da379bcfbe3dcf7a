/** @file A sweep that is kept in its folder: journal in a file, queue in this process, a lock file against a second coordinator. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, DeepDefenseError, isDeepDefenseError, systemClock, takeFileLock } from '../core/index.ts';
import { FileJournal, type SweepEvent } from '../journal/index.ts';
import { createQueueService, MemoryQueue } from '../queue/index.ts';
import type { SweepMetrics } from '../telemetry/index.ts';
import { SWEEP_JOURNAL, SWEEP_NATS, type SweepBackend, type SweepQueue, type SweepQueueOptions } from './sweep-backend.ts';
import { readNatsMark } from './nats-mark.ts';

/** Waiting for the right to coordinate a sweep. */
export interface Standby {
  /** Told once when another process has it. */
  readonly onWait: (error: DeepDefenseError) => void;
  /** Ends the wait, with RUN_IN_USE. */
  readonly signal: AbortSignal;
}

export interface FolderBackendOptions {
  readonly folder: string;
  /** Undefined = another coordinator is an error. */
  readonly standby?: Standby | undefined;
  readonly clock?: Clock | undefined;
  readonly metrics?: SweepMetrics | undefined;
}

/** How often a standby looks at the lock. */
const LOOK_MS = 500;
/** Claims of one coordinator process; the next one's are higher. */
const EPOCHS_PER_GENERATION = 1e9;

/** @throws DeepDefenseError RUN_IN_USE, STORAGE_FAILED, SWEEP_OTHER when the sweep of the folder is kept on NATS */
export async function openFolderBackend({ folder, standby, clock = systemClock, metrics }: FolderBackendOptions): Promise<SweepBackend> {
  await mkdir(folder, { recursive: true });
  await refuseNats(folder);
  const release = await lockSweepFolder(folder, standby);
  try {
    const { journal, records } = await FileJournal.open<SweepEvent>(join(folder, SWEEP_JOURNAL), { fsync: 'never', clock, metrics });
    return {
      journal,
      records,
      openQueue: async (options) => embeddedQueue(options, clock, metrics),
      events: { publish: () => {} },
      close: async () => {
        await journal.close();
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** @returns what gives the lock back. @throws DeepDefenseError RUN_IN_USE, STORAGE_FAILED */
export async function lockSweepFolder(folder: string, standby?: Standby): Promise<() => Promise<void>> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await takeFileLock(join(folder, 'sweep.lock'), { purpose: `with the sweep in "${folder}"`, code: 'RUN_IN_USE' });
    } catch (error) {
      if (standby === undefined || !isDeepDefenseError(error) || error.code !== 'RUN_IN_USE' || standby.signal.aborted) throw error;
      if (attempt === 0) standby.onWait(error);
      await sleep(LOOK_MS, undefined, { signal: standby.signal }).catch(() => {});
    }
  }
}

async function refuseNats(folder: string): Promise<void> {
  const mark = await readNatsMark(folder);
  if (mark === undefined) return;
  throw new DeepDefenseError('SWEEP_OTHER', {
    what: `the sweep in "${folder}" is kept on NATS`,
    expected: `--nats ${mark.servers}`,
    got: 'no NATS servers',
    todo: `give --nats; ${SWEEP_NATS} in the folder says which servers`,
    fields: { folder },
  });
}

function embeddedQueue(
  { sweepId, generation, leaseMs, retries, mostClaims, isOver, onEnd, onLost }: SweepQueueOptions,
  clock: Clock,
  metrics: SweepMetrics | undefined,
): SweepQueue {
  const firstEpoch = generation * EPOCHS_PER_GENERATION;
  const queue = new MemoryQueue({ clock, leaseMs, retries, firstEpoch, mostClaims, onEnd, onLost, metrics });
  return {
    publish: (task) => queue.publish(task),
    ended: () => queue.ends(),
    counts: () => queue.counts(),
    hold: async (held) => queue.hold(held),
    finish: async () => queue.finish(),
    close: () => queue.close(),
    service: createQueueService(queue, { sweepId, leaseMs, isOver }),
  };
}
