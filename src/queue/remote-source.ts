/** @file The queue of a sweep's coordinator, seen from a worker over gRPC. Lost connections are waited out: a coordinator may be started again. */
import { DeepDefenseError, errorCodeOr, isDeepDefenseError, PACKAGE_VERSION, PROTOCOL_VERSION } from '../core/index.ts';
import type { TlsFiles } from '../security/index.ts';
import {
  type ClaimReference,
  type ClaimVerdict,
  createSweepClient,
  type SweepCall,
  type SweepCalls,
  type SweepClient,
} from '../wire/index.ts';
import { claimLost } from './memory-queue.ts';
import type { Claim, Task, TaskSource } from './task-queue.ts';

export interface RemoteSourceOptions {
  /** host:port */
  readonly address: string;
  /** Certificates of the worker; undefined = plain text. */
  readonly tls?: TlsFiles | undefined;
  /** How long a coordinator may be away before the worker gives up, in milliseconds. Default 60 000. */
  readonly patienceMs?: number | undefined;
  /** Told once per loss of the connection. */
  readonly onLost?: ((reason: string) => void) | undefined;
}

export interface RemoteSweep extends TaskSource {
  readonly sweepId: string;
  /** Share of the workers' time relative to other sweeps, as the coordinator said last; 1 before that. */
  readonly priority: number;
}

/** How long one claim call waits for a task. */
const CLAIM_WAIT_MS = 15_000;
/** What a call may take besides. */
const CALL_MS = 10_000;
const RETRY_MS = 500;
const RETRY_SPREAD_MS = 500;

/**
 * Connects.
 * @throws DeepDefenseError CONNECT_FAILED, PROTOCOL_VERSION, USAGE when something else answers
 */
export async function openRemoteSource(options: RemoteSourceOptions): Promise<RemoteSweep> {
  const client = createSweepClient(options.address, options.tls);
  const source = new RemoteSource(client, options);
  try {
    const { protocolVersion, packageVersion, sweepId, leaseMs } = await source.ask(
      'describe',
      { protocolVersion: PROTOCOL_VERSION },
      CALL_MS,
    );
    if (protocolVersion !== PROTOCOL_VERSION) {
      throw new DeepDefenseError('PROTOCOL_VERSION', {
        what: "the sweep's coordinator speaks another version of the protocol",
        expected: `${PROTOCOL_VERSION} (deepdefense ${PACKAGE_VERSION})`,
        got: `${protocolVersion} (deepdefense ${packageVersion})`,
        todo: 'install the same version of deepdefense on both sides',
      });
    }
    source.leaseMs = leaseMs;
    return Object.assign(source, { sweepId });
  } catch (error) {
    client.close();
    throw error;
  }
}

class RemoteSource implements TaskSource {
  leaseMs = 0;
  priority = 1;
  #closed = false;
  readonly #client: SweepClient;
  readonly #options: RemoteSourceOptions;

  constructor(client: SweepClient, options: RemoteSourceOptions) {
    this.#client = client;
    this.#options = options;
  }

  async claim(worker: string, signal: AbortSignal): Promise<Claim | undefined> {
    while (!signal.aborted) {
      const { kind, task, payload, epoch, priority } = await this.ask(
        'claim',
        { worker, waitMs: CLAIM_WAIT_MS },
        CLAIM_WAIT_MS + CALL_MS,
        signal,
      );
      // 0 of a coordinator of before.
      if (priority > 0) this.priority = priority;
      if (kind === 'over') return undefined;
      if (kind !== 'task') continue;
      const claim = this.#claimOf({ id: task, payload }, epoch);
      if (!signal.aborted) return claim;
      await claim.release();
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#client.close();
  }

  #claimOf(task: Task, epoch: number): Claim {
    const reference: ClaimReference = { task: task.id, epoch };
    const settled = async (verdict: Promise<ClaimVerdict>) => check(task.id, await verdict);
    return {
      task,
      epoch,
      leaseMs: this.leaseMs,
      // Not made again: the next one does as well.
      extend: () => settled(this.#client.call('extend', reference, CALL_MS)),
      commit: (result) => settled(this.ask('commit', { ...reference, result }, CALL_MS)),
      fail: ({ code, message }, lasting) => settled(this.ask('fail', { ...reference, code, message, lasting }, CALL_MS)),
      release: () => settled(this.ask('release', reference, CALL_MS)),
    };
  }

  /** A call that is made again until it is answered; all calls may be made twice. */
  async ask<Call extends SweepCall>(
    name: Call,
    request: SweepCalls[Call]['request'],
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<SweepCalls[Call]['reply']> {
    const { patienceMs = 60_000, onLost } = this.#options;
    const startedMs = performance.now();
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#client.call(name, request, timeoutMs);
      } catch (error) {
        const lasting = this.#closed || !isDeepDefenseError(error) || error.code !== 'CONNECT_FAILED';
        if (lasting || signal?.aborted === true || performance.now() - startedMs > patienceMs) throw error;
        if (attempt === 0) onLost?.(error.parts.got ?? error.message);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS + Math.random() * RETRY_SPREAD_MS));
      }
    }
  }
}

function check(task: string, { code, message }: ClaimVerdict): void {
  if (code === '') return;
  const known = errorCodeOr(code, 'INTERNAL');
  throw known === 'CLAIM_LOST' ? claimLost(task, message) : new DeepDefenseError(known, { what: message, fields: { task } });
}
