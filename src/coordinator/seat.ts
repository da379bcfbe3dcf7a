/** @file What the worker pool keeps per member and for its job, and what its parts share. */
import type { Clock, DeepDefenseError } from '../core/index.ts';
import type { ShardBlock } from '../wire/index.ts';
import type { Job } from './job.ts';
import type { Membership } from './membership.ts';
import type { Pace } from './pace.ts';
import type { PoolObserver } from './pool-observer.ts';
import type { Quarantine } from './quarantine.ts';
import type { WorkerLink } from './worker-link.ts';

/** A task that a worker hasn't fully answered; kept after its leases were taken away, because the worker is still busy with it. */
export interface Task {
  readonly id: number;
  readonly job: Job;
  readonly epoch: number;
  readonly parts: readonly ShardBlock[];
  /** Units of its grant. */
  readonly units: number;
  readonly grantedAtMs: number;
  /** Time of the last answer to it, of the grant before the first. */
  answeredAtMs: number;
  /** First units of the parts that haven't been answered. */
  readonly open: Set<number>;
  cancelled: boolean;
}

/** A member's link and what it owes. */
export interface Seat<Snapshot> {
  readonly link: WorkerLink<Snapshot>;
  /** Whose worker it is, by certificate or token; undefined = not known. */
  readonly owner: string | undefined;
  readonly tasks: Map<number, Task>;
  /** Parameters sent last. */
  version: number | undefined;
}

/** The pool's job with the promise that waits for it. */
export interface RunningJob {
  readonly job: Job;
  readonly pace: Pace;
  /** True once a lease was granted: from then on minWorkers doesn't hold it up. */
  granted: boolean;
  /** Members with a valid answer. */
  readonly answered: Set<number>;
  /** Owners of workers whose answers were not finite. */
  readonly doubted: Set<string>;
  /** Workers on which it failed. */
  failures: number;
  /** Doubled whenever leases were taken away for it: work that is longer than the deadline must not be handed round for ever. */
  deadlineMs: number;
  readonly resolve: () => void;
  readonly reject: (error: DeepDefenseError) => void;
}

/** What the pool's parts work on together. */
export interface PoolParts<Snapshot> {
  readonly clock: Clock;
  readonly membership: Membership;
  /** By member; a member that is gone has none. */
  readonly seats: ReadonlyMap<number, Seat<Snapshot>>;
  readonly observer: PoolObserver;
  readonly quarantine: Quarantine;
}
