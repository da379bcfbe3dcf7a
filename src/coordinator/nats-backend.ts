/**
 * @file A sweep that is kept on NATS JetStream: queue, journal, and a key that says who coordinates it. Its folder has a copy of the
 * journal, from which reports are made.
 */
import { appendFile, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, DeepDefenseError, isDeepDefenseError, systemClock, writeFileAtomic } from '../core/index.ts';
import {
  type EventLog,
  findDefinition,
  type JournalRecord,
  lineOf,
  type NatsLink,
  type NatsOptions,
  openJetStreamJournal,
  openNatsLink,
  type SweepEvent,
  watchLink,
  watchStreams,
} from '../journal/index.ts';
import {
  type Leadership,
  type LeadershipOptions,
  openJetStreamQueue,
  openSweepEvents,
  type QueueService,
  takeLeadership,
} from '../queue/index.ts';
import type { SweepMetrics } from '../telemetry/index.ts';
import type { Standby } from './folder-backend.ts';
import { readNatsMark, writeNatsMark } from './nats-mark.ts';
import { SWEEP_JOURNAL, SWEEP_NATS, type SweepBackend, type SweepQueue, type SweepQueueOptions } from './sweep-backend.ts';

export interface NatsBackendOptions {
  readonly nats: NatsOptions;
  readonly sweepId: string;
  readonly folder: string;
  /** Hash of the sweep's definition; undefined = that of the sweep on the servers. */
  readonly definition: string | undefined;
  /** Undefined = another coordinator is an error. */
  readonly standby?: Standby | undefined;
  readonly clock?: Clock | undefined;
  readonly metrics?: SweepMetrics | undefined;
}

/**
 * @throws DeepDefenseError RUN_IN_USE, CONNECT_FAILED, NATS_UNSUPPORTED, STORAGE_FAILED, SWEEP_OTHER (another sweep has the id, or the
 * folder), CHECKPOINT_MISSING (no such sweep)
 */
export async function openNatsBackend(options: NatsBackendOptions): Promise<SweepBackend> {
  const { nats, sweepId, folder, standby, clock = systemClock, metrics } = options;
  await mkdir(folder, { recursive: true });
  await refuseEmbedded(folder);
  /** What ends the coordinator; before there is one, its first append fails. */
  let onFailure: (error: Error) => void = () => {};
  const link = await openNatsLink({ ...nats, onGone: (error) => onFailure(error) });
  if (metrics !== undefined) watchLink(link, metrics);
  let leadership: Leadership | undefined;
  try {
    const definition = options.definition ?? (await definitionThere(link, sweepId));
    leadership = await lead({ link, sweepId, onLost: (error) => onFailure(error) }, standby);
    const { journal, records } = await openJetStreamJournal<SweepEvent>({ link, sweepId, definition, clock, metrics });
    await writeNatsMark(folder, { servers: nats.servers, sweepId });
    const copied = await copyOf(journal, records, join(folder, SWEEP_JOURNAL));
    const events = await openSweepEvents({ link, sweepId, definition });
    const held = leadership;
    return {
      journal: copied,
      records,
      events,
      openQueue: async (queueOptions) => {
        onFailure = queueOptions.onFailure;
        const queue = await openQueue(link, definition, queueOptions, metrics);
        if (metrics !== undefined) watchStreams(link, sweepId, metrics);
        return queue;
      },
      close: async () => {
        await journal.close();
        await held.release();
        await link.close();
      },
    };
  } catch (error) {
    await leadership?.release();
    await link.close();
    throw error;
  }
}

/** The journal of a sweep as it stands, whoever writes it. @throws DeepDefenseError CHECKPOINT_MISSING, CONNECT_FAILED, NATS_UNSUPPORTED */
export async function readNatsJournal(sweepId: string, nats: NatsOptions): Promise<readonly JournalRecord<SweepEvent>[]> {
  const link = await openNatsLink(nats);
  try {
    const definition = await definitionThere(link, sweepId);
    const { records } = await openJetStreamJournal<SweepEvent>({ link, sweepId, definition });
    return records;
  } finally {
    await link.close();
  }
}

async function lead(options: LeadershipOptions, standby: Standby | undefined): Promise<Leadership> {
  const signal = standby?.signal ?? new AbortController().signal;
  try {
    return await takeLeadership(options, { standby: false, signal });
  } catch (error) {
    if (standby === undefined || !isDeepDefenseError(error) || error.code !== 'RUN_IN_USE') throw error;
    standby.onWait(error);
    return takeLeadership(options, { standby: true, signal });
  }
}

async function definitionThere(link: NatsLink, sweepId: string): Promise<string> {
  const definition = await findDefinition(link, sweepId);
  if (definition !== undefined) return definition;
  throw new DeepDefenseError('CHECKPOINT_MISSING', {
    what: `there is no sweep "${sweepId}" on NATS at ${link.servers}`,
    todo: 'check the id and the servers, or start the sweep with -c',
    fields: { sweep: sweepId },
  });
}

async function refuseEmbedded(folder: string): Promise<void> {
  const isThere = (await stat(join(folder, SWEEP_JOURNAL)).catch(() => undefined)) !== undefined;
  if (!isThere || (await readNatsMark(folder)) !== undefined) return;
  throw new DeepDefenseError('SWEEP_OTHER', {
    what: `the sweep in "${folder}" is kept in its folder, not on NATS`,
    expected: `a folder with ${SWEEP_NATS}, or an empty one`,
    todo: 'go on without --nats, or give another folder',
    fields: { folder },
  });
}

/** The journal, whose lines are appended to a file, too. It begins with all records. */
async function copyOf(
  journal: EventLog<SweepEvent>,
  records: readonly JournalRecord<SweepEvent>[],
  path: string,
): Promise<EventLog<SweepEvent>> {
  await writeFileAtomic(path, records.map(lineOf).join(''));
  /** Lines are written in their order. */
  let last: Promise<void> = Promise.resolve();
  return {
    get sequence() {
      return journal.sequence;
    },
    get hash() {
      return journal.hash;
    },
    append: async (event) => {
      const appended = journal.append(event);
      const before = last;
      const written = appended.then(async (record) => {
        await before;
        await appendFile(path, lineOf(record)).catch((cause: unknown) => {
          throw notCopied(path, cause);
        });
      });
      last = written.catch(() => {});
      await written;
      return appended;
    },
    sync: () => journal.sync(),
    close: async () => {
      await journal.close();
      await last;
    },
  };
}

function notCopied(path: string, cause: unknown): DeepDefenseError {
  return new DeepDefenseError('STORAGE_FAILED', {
    what: `can't append to "${path}", the copy of the sweep's journal`,
    got: cause instanceof Error ? cause.message : String(cause),
    todo: 'make room; the sweep itself is safe on NATS, `deepdefense sweep resume` goes on',
    fields: { path },
    cause,
  });
}

async function openQueue(
  link: NatsLink,
  definition: string,
  options: SweepQueueOptions,
  metrics: SweepMetrics | undefined,
): Promise<SweepQueue> {
  const { sweepId, leaseMs, retries, mostClaims, onEnd, onLost } = options;
  const queue = await openJetStreamQueue({ link, sweepId, definition, leaseMs, retries, mostClaims, onLost, metrics });
  return {
    publish: (task) => queue.publish(task),
    ended: async function* () {
      for await (const end of queue.ends()) {
        await onEnd(end);
        yield end;
      }
    },
    counts: () => queue.counts(),
    hold: async (held) => queue.hold(held),
    finish: async () => queue.finish(),
    close: () => queue.close(),
    service: refusals(link, sweepId),
  };
}

/** For workers that ask the coordinator in place of NATS. */
function refusals(link: NatsLink, sweepId: string): QueueService {
  const refuse = (): never => {
    throw new DeepDefenseError('USAGE', {
      what: 'the tasks of this sweep are on NATS',
      todo: `deepdefense worker --nats ${link.servers} --sweep ${sweepId}`,
    });
  };
  const handler = async () => refuse();
  return {
    handlers: { describe: handler, claim: handler, extend: handler, commit: handler, fail: handler, release: handler },
    dismissed: async () => {},
  };
}
