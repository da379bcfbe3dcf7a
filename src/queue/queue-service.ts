/** @file The embedded queue as handlers of the gRPC service, for workers in other processes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DeepDefenseError, isDeepDefenseError, PACKAGE_VERSION, PROTOCOL_VERSION } from '../core/index.ts';
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
  /** Hears why a claim's result, sign of life or end was not taken. */
  readonly onRefused?: ((error: DeepDefenseError, task: string, peer: Identity | undefined) => void) | undefined;
}

/** Longest wait of one call, whatever the worker asks for. */
const MOST_WAIT_MS = 30_000;

export interface QueueService {
  /** All handlers but `control`. */
  readonly handlers: Omit<SweepHandlers, 'control'>;
  /** Resolves when every worker that has asked for tasks was told that there are no more, or after `graceMs`. */
  dismissed(graceMs: number): Promise<void>;
}

/** Workers that are told that it is over; more than any coordinator serves. */
const MOST_WORKERS = 10_000;
/** Of a failed task, in characters: what is longer is cut. */
const [MOST_CODE, MOST_MESSAGE] = [64, 16_384];
/** Ids become part of the journal and of log lines. */
const WORKER_ID = /^[\w.:@-]{1,128}$/;

/** How often {@link QueueService.dismissed} looks. */
const LOOK_MS = 20;

export function createQueueService(
  queue: MemoryQueue,
  { sweepId, leaseMs, isOver, priority = () => 1, onRefused }: QueueServiceOptions,
): QueueService {
  /** Workers that haven't been told that it is over. */
  const workers = new Set<string>();
  const handlers: QueueService['handlers'] = {
    describe: async () => ({ protocolVersion: PROTOCOL_VERSION, packageVersion: PACKAGE_VERSION, sweepId, leaseMs }),
    claim: async ({ worker, waitMs }, signal, peer) => {
      checkWorkerId(worker);
      checkWorkerName(peer, worker);
      // Whoever takes a new name each time is not waited for.
      if (workers.size < MOST_WORKERS) workers.add(worker);
      // A worker that has gone away must not be given a task: its call is cancelled then.
      const claim = await queue.claim(worker, AbortSignal.any([signal, AbortSignal.timeout(Math.min(waitMs, MOST_WAIT_MS))]));
      if (claim === undefined) {
        if (signal.aborted || isOver()) workers.delete(worker);
        return { kind: isOver() ? 'over' : 'none', task: '', payload: '', epoch: 0, priority: priority() };
      }
      return { kind: 'task', task: claim.task.id, payload: claim.task.payload, epoch: claim.epoch, priority: priority() };
    },
    extend: (claim, _, peer) => verdict(queue, claim, peer, ({ task, epoch }) => queue.extend(task, epoch), onRefused),
    commit: (claim, _, peer) => verdict(queue, claim, peer, ({ task, epoch, result }) => queue.commit(task, epoch, result), onRefused),
    fail: (claim, _, peer) =>
      verdict(
        queue,
        claim,
        peer,
        ({ task, epoch, code, message, lasting }) => {
          const error = { code: code.slice(0, MOST_CODE), message: message.slice(0, MOST_MESSAGE) };
          return queue.fail(task, epoch, error, lasting);
        },
        onRefused,
      ),
    release: (claim, _, peer) => verdict(queue, claim, peer, ({ task, epoch }) => queue.release(task, epoch), onRefused),
  };
  return {
    handlers,
    dismissed: async (graceMs) => {
      const untilMs = performance.now() + graceMs;
      while (workers.size > 0 && performance.now() < untilMs) await sleep(LOOK_MS);
    },
  };
}

function checkWorkerId(worker: string): void {
  if (WORKER_ID.test(worker)) return;
  throw new DeepDefenseError('USAGE', {
    what: 'bad id of a worker',
    expected: '1 to 128 letters, digits and -_.:@',
    got: JSON.stringify(worker.slice(0, 40)),
  });
}

async function verdict<Request extends ClaimReference>(
  queue: MemoryQueue,
  claim: Request,
  peer: Identity | undefined,
  action: (claim: Request) => void | Promise<void>,
  onRefused: QueueServiceOptions['onRefused'],
): Promise<ClaimVerdict> {
  try {
    const holder = queue.holderOf(claim.task, claim.epoch);
    if (holder !== undefined) checkWorkerName(peer, holder);
    await action(claim);
    return { code: '', message: '' };
  } catch (error) {
    if (!isDeepDefenseError(error)) throw error;
    onRefused?.(error, claim.task, peer);
    return { code: error.code, message: error.parts.what };
  }
}
