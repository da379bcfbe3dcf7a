/**
 * @file What happens in a sweep, told on NATS for dashboards and scripts. docs/nats.md has the JSON of each event. Events are told at
 * most once and kept for some days; the journal is what counts.
 */
import { describeStream, ensureStream, type NatsLink, type StreamWish, sweepNames } from '../../journal/index.ts';

/** All events by type; the type is also the end of the subject `deepdefense.SWEEP.events.TYPE`. */
export interface SweepEventBodies {
  /** A coordinator has begun to lead. */
  'run.started': { /** Rises with each coordinator process. */ readonly generation: number; readonly host: string };
  /** No task is given out, or again. */
  'run.paused': { /** Who asked for it, or why. */ readonly reason: string };
  'run.resumed': { readonly reason: string };
  /** There will be more candidates: so many in all. */
  'run.extended': { readonly candidates: number };
  'run.finished': {
    readonly state: 'completed' | 'stopped' | 'failed';
    readonly reason: string;
    /** SHA-256 over all decisions and counted outcomes. */
    readonly decisionsSha256: string;
  };
  /** A candidate was chosen. */
  'trial.chosen': {
    readonly candidate: number;
    /** Ids of its trials by seed. */
    readonly trials: readonly string[];
    readonly parameters: Readonly<Record<string, unknown>>;
  };
  'trial.measured': {
    readonly task: string;
    readonly candidate: number;
    readonly rung: number;
    /** One per objective. */
    readonly values: readonly number[];
    readonly seconds: number;
    readonly worker: string;
    readonly epoch: number;
  };
  /** It won't be tried again. */
  'trial.failed': {
    readonly task: string;
    readonly candidate: number;
    readonly rung: number;
    readonly error: { readonly code: string; readonly message: string };
    readonly worker: string;
    readonly epoch: number;
  };
  /** A task was taken from a worker that fell silent. */
  'trial.worker-lost': { readonly task: string; readonly worker: string };
}

export type SweepEventType = keyof SweepEventBodies;

/** What stands around the body of each event. */
export interface SweepEventEnvelope<Type extends SweepEventType = SweepEventType> {
  /** Of this form: rises when a reader would have to change. */
  readonly version: 1;
  readonly type: Type;
  readonly sweep: string;
  /** ISO 8601 in UTC. */
  readonly at: string;
  /** 1, 2, 3, ... of one coordinator process; a gap shows that some were lost. */
  readonly number: number;
  readonly body: SweepEventBodies[Type];
}

export interface SweepEventsOptions {
  readonly link: NatsLink;
  readonly sweepId: string;
  readonly definition: string;
}

export interface SweepEvents {
  /** Tells of an event, without waiting for anything; one for which there is no connection may be lost. */
  publish<Type extends SweepEventType>(type: Type, body: SweepEventBodies[Type]): void;
}

const KEPT_HOURS = 7 * 24;
const MOST_BYTES = 64 * 2 ** 20;
const NANOSECONDS_PER_HOUR = 3_600e9;

/** @throws DeepDefenseError SWEEP_OTHER, NATS_UNSUPPORTED, CONNECT_FAILED */
export async function openSweepEvents(options: SweepEventsOptions): Promise<SweepEvents> {
  const { link, sweepId, definition } = options;
  const names = sweepNames(sweepId);
  const wish: StreamWish = {
    name: names.eventStream,
    subjects: [`${names.events}>`],
    description: describeStream(sweepId, definition),
    retention: 'limits',
    storage: 'file',
    discard: 'old',
  };
  await ensureStream(link, wish, { max_age: KEPT_HOURS * NANOSECONDS_PER_HOUR, max_bytes: MOST_BYTES });
  let number = 0;
  return {
    publish: (type, body) => {
      number += 1;
      const event: SweepEventEnvelope = { version: 1, type, sweep: sweepId, at: new Date().toISOString(), number, body };
      // What is published while the connection is lost is sent later, up to the client's buffer.
      if (!link.isClosed) link.connection.publish(names.events + type, JSON.stringify(event));
    },
  };
}
