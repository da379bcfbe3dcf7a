/** @file The embedded queue as handlers of the gRPC service, for workers in other processes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepDefenseError, PACKAGE_VERSION, PROTOCOL_VERSION } from '../core/index.ts';
import type { Identity } from '../security/index.ts';
import { type ClaimReference, type ClaimVerdict, checkWorkerName, type SweepHandlers } from '../wire/index.ts';
import type { MemoryQueue } from './memory-queue.ts';

export interface QueueServiceOptions {
  readonly sweepId: string;
  readonly leaseMs: number;
  /** True when there will be no more tasks. */
  readonly isOver: () => boolean;
  /** Share of the workers' time relative to other sweeps. Default 1. */
  readonly priority?: (() => number) | undefined;
}

/** Longest wait of one call, whatever the worker asks for. */
const MOST_WAIT_MS = 30_000;

export interface QueueService {
  /** All handlers but `control`. */
  readonly handlers: Omit<SweepHandlers, 'control'>;
  /** Resolves when every worker that has asked for tasks was told that there are no more, or after `graceMs`. */
  dismissed(graceMs: number): Promise<void>;
}

/** How often {@link QueueService.dismissed} looks. */
const LOOK_MS = 20;

export function createQueueService(
  queue: MemoryQueue,
  { sweepId, leaseMs, isOver, priority = () => 1 }: QueueServiceOptions,
): QueueService {
  /** Workers that haven't been told that it is over. */
  const workers = new Set<string>();
  const handlers: QueueService['handlers'] = {
    describe: async () => ({ protocolVersion: PROTOCOL_VERSION, packageVersion: PACKAGE_VERSION, sweepId, leaseMs }),
    claim: async ({ worker, waitMs }, signal, peer) => {
      checkWorkerName(peer, worker);
      workers.add(worker);
      // A worker that has gone away must not be given a task: its call is cancelled then.
      const claim = await queue.claim(worker, AbortSignal.any([signal, AbortSignal.timeout(Math.min(waitMs, MOST_WAIT_MS))]));
      if (claim === undefined) {
        if (signal.aborted || isOver()) workers.delete(worker);
        return { kind: isOver() ? 'over' : 'none', task: '', payload: '', epoch: 0, priority: priority() };
      }
      return { kind: 'task', task: claim.task.id, payload: claim.task.payload, epoch: claim.epoch, priority: priority() };
    },
    extend: (claim, _, peer) => verdict(queue, claim, peer, ({ task, epoch }) => queue.extend(task, epoch)),
    commit: (claim, _, peer) => verdict(queue, claim, peer, ({ task, epoch, result }) => queue.commit(task, epoch, result)),
    fail: (claim, _, peer) =>
      verdict(queue, claim, peer, ({ task, epoch, code, message, lasting }) => queue.fail(task, epoch, { code, message }, lasting)),
    release: (claim, _, peer) => verdict(queue, claim, peer, ({ task, epoch }) => queue.release(task, epoch)),
  };
  return {
    handlers,
    dismissed: async (graceMs) => {
      const untilMs = performance.now() + graceMs;
      while (workers.size > 0 && performance.now() < untilMs) await sleep(LOOK_MS);
    },
  };
}

async function verdict<Request extends ClaimReference>(
  queue: MemoryQueue,
  claim: Request,
  peer: Identity | undefined,
  action: (claim: Request) => void | Promise<void>,
): Promise<ClaimVerdict> {
  try {
    const holder = queue.holderOf(claim.task, claim.epoch);
    if (holder !== undefined) checkWorkerName(peer, holder);
    await action(claim);
    return { code: '', message: '' };
  } catch (error) {
    if (isDeepDefenseError(error)) return { code: error.code, message: error.parts.what };
    throw error;
  }
}
