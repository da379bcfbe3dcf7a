/**
 * @file Where a sweep is kept: its journal, its queue, and the right to coordinate it. Two implementations: the sweep's folder
 * (folder-backend.ts) and NATS JetStream (nats-backend.ts).
 */
import type { EventLog, JournalRecord, SweepEvent } from '../journal/index.ts';
import type { QueueCounts, QueueService, QueueServiceOptions, Retries, SweepEntry, SweepEvents, Task, TaskEnd } from '../queue/index.ts';
import type { SweepHandlers } from '../wire/index.ts';

/** Files in the folder of a sweep. */
export const SWEEP_JOURNAL = 'sweep.jsonl';
export const SWEEP_RECORD = 'sweep.json';
/** Where the coordinator listens; there while it runs. */
export const SWEEP_ADDRESS = 'coordinator.json';
/** Servers that keep the sweep; missing where the folder does. */
export const SWEEP_NATS = 'nats.json';
/** Run folders of the trials. */
export const TRIALS_FOLDER = 'trials';

/** One process has it at a time. */
export interface SweepBackend {
  readonly journal: EventLog<SweepEvent>;
  /** What stood in the journal when it was opened. */
  readonly records: readonly JournalRecord<SweepEvent>[];
  openQueue(options: SweepQueueOptions): Promise<SweepQueue>;
  /** Tells other programs what happens; nothing is waited for. */
  readonly events: SweepEvents;
  /** Says how the sweep stands, to workers that look for sweeps and to operators. */
  announce(standing: SweepStanding): Promise<void>;
  /** Lets operators ask for what `control` does where the sweep is kept. */
  serveControl(control: SweepHandlers['control']): void;
  /** Closes the journal and gives up the right to coordinate. */
  close(): Promise<void>;
}

export type SweepStanding = Omit<SweepEntry, 'sweep'>;

export interface SweepQueueOptions {
  readonly sweepId: string;
  /** Rises with each coordinator process. */
  readonly generation: number;
  readonly leaseMs: number;
  readonly retries: Retries;
  readonly mostClaims: number | undefined;
  /** True when there will be no more tasks. */
  readonly isOver: () => boolean;
  /** Share of the workers' time relative to other sweeps. */
  readonly priority: () => number;
  /** Writes an end down; called once per end and process. */
  readonly onEnd: (end: TaskEnd) => Promise<void>;
  /** What a worker said of a claim was not taken. */
  readonly onRefused?: QueueServiceOptions['onRefused'];
  /** A worker fell silent. */
  readonly onLost: (task: string, worker: string) => void;
  /** This process must not go on. */
  readonly onFailure: (error: Error) => void;
}

/** The queue as the coordinator uses it; the functions are those of `TaskQueue`. */
export interface SweepQueue {
  publish(task: Task): Promise<'published' | 'duplicate'>;
  /** Says after each end that `onEnd` has returned for it. Ends with {@link close}. */
  ended(): AsyncIterable<unknown>;
  counts(): Promise<QueueCounts>;
  hold(held: boolean): Promise<void>;
  finish(): Promise<void>;
  close(): Promise<void>;
  /** For workers that ask the coordinator. */
  readonly service: QueueService;
}
