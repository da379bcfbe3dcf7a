/** @file How the worker pool meets its surroundings: what it needs of a transport, what it is told, and its settings. */
import type { Clock } from '../core/index.ts';
import type { CoordinatorMessage, Hello, Ready, TaskFailure, Welcome } from '../wire/index.ts';
import type { WorkerSeconds } from './goodput.ts';
import type { Answer } from './job.ts';
import type { RunIdentity } from './membership.ts';
import type { PoolObserver } from './pool-observer.ts';

/** The coordinator's end of one worker's stream. Calls must not call back into the pool. */
export interface WorkerLink<Snapshot> {
  send(message: CoordinatorMessage): void;
  /** Sends a version of the parameters; whatever is sent later arrives later. */
  sendParameters(snapshot: Snapshot): void;
  /** Ends the stream after what was sent. */
  close(): void;
}

/** What a worker can say once its chunks are put together. */
export type WorkerReport =
  | { readonly kind: 'hello'; readonly message: Hello }
  | { readonly kind: 'ready'; readonly message: Ready }
  | { readonly kind: 'alive' }
  | Answer
  | { readonly kind: 'failure'; readonly message: TaskFailure }
  | { readonly kind: 'goodbye'; readonly reason: string };

export interface WorkerPoolOptions<Snapshot> {
  readonly clock: Clock;
  /** A member silent for longer loses its leases. */
  readonly leaseMs: number;
  /** A lease that is out for longer is given to an idle worker, where there is one. */
  readonly stepDeadlineMs: number;
  /** At most so many workers hold leases at a time, the others wait as spares; default all. */
  readonly maxWorkers?: number | undefined;
  /** Once a worker has joined: with none for this long, the job fails with WORKERS_LOST. */
  readonly workersLostMs: number;
  readonly identity: RunIdentity;
  /** All of Welcome but the fingerprint, which the pool fills in. */
  readonly welcome: Omit<Welcome, 'engineFingerprint'>;
  /** Makes what {@link WorkerLink.sendParameters} sends, once per version; must copy what may change later. */
  readonly encodeParameters: (version: number, values: Float32Array) => Snapshot;
  readonly observer: PoolObserver;
  /** Worker time of the run's earlier processes; default none. */
  readonly earlierGoodput?: Readonly<WorkerSeconds> | undefined;
  /** First task id. Start higher than an earlier process of the same run did, and its late answers can't be mistaken. Default 1. */
  readonly firstTaskId?: number;
}
