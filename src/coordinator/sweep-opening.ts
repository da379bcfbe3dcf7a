/** @file How a sweep begins, goes on, and is extended while nobody runs it. */
import type { SweepSource } from '../config/index.ts';
import { type DeepDefenseError, isDeepDefenseError } from '../core/index.ts';
import type { JournalRecord, NatsOptions, SweepEvent, SweepStarted } from '../journal/index.ts';
import { openFolderBackend, type Standby } from './folder-backend.ts';
import type { SweepMetrics } from '../telemetry/index.ts';
import { openNatsBackend, readNatsJournal } from './nats-backend.ts';
import type { SweepBackend } from './sweep-backend.ts';
import { SweepCoordinator, type SweepHandle, type SweepOptions } from './sweep-coordinator.ts';
import { checkDataset, checkExtension, checkPriority, checkSame, definitionHash, startedEvent } from './sweep-definition.ts';
import { SweepStatus } from './sweep-status.ts';
import { SweepState } from './sweep-state.ts';

export interface StartSweepOptions extends SweepOptions {
  readonly source: SweepSource | undefined;
  readonly sweepId: string;
  readonly dataset: { readonly name: string; readonly contentHash: string };
  /** Servers that keep the sweep; undefined = its folder does. */
  readonly nats?: NatsOptions | undefined;
  /** Waits while another coordinator runs the sweep; undefined = that is an error. */
  readonly standby?: Standby | undefined;
  /** Failed trials are tried again, from their last checkpoint or from their first step. */
  readonly retryFailed?: 'checkpoint' | 'scratch' | undefined;
}

/** A coordinator that was frozen may write a last time while the next one opens the journal. */
const OPENINGS = 3;

/**
 * Starts a sweep, or goes on with the one in the folder or on the servers; it goes on by itself.
 * @throws DeepDefenseError CONFIG_*, SWEEP_SPACE_EMPTY, SWEEP_OTHER (another sweep in the folder), RUN_IN_USE, PORT_IN_USE, CONNECT_FAILED,
 * STORAGE_FAILED, NATS_UNSUPPORTED
 */
export async function startSweep(options: StartSweepOptions): Promise<SweepHandle> {
  // What is wrong with the definition is said before anything is written.
  if (options.source !== undefined) SweepState.fresh(options.source);
  const status = await SweepStatus.serve(options.host, options.httpPort);
  const setStandby = (value: 0 | 1) => options.standby && status.metrics.sweepStandby.set({ sweep: options.sweepId }, value);
  setStandby(0);
  const standby = options.standby && {
    signal: options.standby.signal,
    onWait: (error: DeepDefenseError) => {
      status.standBy();
      setStandby(1);
      options.standby?.onWait(error);
    },
  };
  for (let opening = 1; ; opening++) {
    try {
      const handle = await openSweep({ ...options, standby }, status);
      setStandby(0);
      return handle;
    } catch (error) {
      if (isDeepDefenseError(error) && error.code === 'JOURNAL_FENCED' && opening < OPENINGS) continue;
      await status.close();
      throw error;
    }
  }
}

async function openSweep(options: StartSweepOptions, status: SweepStatus): Promise<SweepHandle> {
  const { source, folder } = options;
  const backend = await openBackend({ ...options, metrics: status.metrics });
  try {
    const { journal } = backend;
    const first = backend.records[0] ?? (await journal.append(startedEvent(options)));
    if (source !== undefined) checkSame(source, first.event as SweepStarted, folder);
    checkDataset(options.dataset, first.event as SweepStarted, folder);
    const before = backend.records.length === 0 ? [first] : backend.records;
    const retried = options.retryFailed === undefined ? [] : await retryFailed(backend, before, options.retryFailed);
    const { state, started } = SweepState.fromJournal([...before, ...retried]);
    return await new SweepCoordinator(options, { backend, state, started, startedAt: first.at, status }).start();
  } catch (error) {
    await backend.close();
    throw error;
  }
}

function openBackend({
  source,
  folder,
  sweepId,
  nats,
  standby,
  clock,
  metrics,
}: Pick<StartSweepOptions, 'folder' | 'sweepId' | 'nats'> &
  Partial<StartSweepOptions> & { readonly metrics?: SweepMetrics }): Promise<SweepBackend> {
  if (nats === undefined) return openFolderBackend({ folder, standby, clock, metrics });
  const definition = source === undefined ? undefined : definitionHash(source);
  return openNatsBackend({ nats, sweepId, folder, definition, standby, clock, metrics });
}

async function retryFailed(
  { journal }: SweepBackend,
  records: readonly JournalRecord<SweepEvent>[],
  from: 'checkpoint' | 'scratch',
): Promise<readonly JournalRecord<SweepEvent>[]> {
  const { state } = SweepState.fromJournal(records);
  const failed = [...state.measurements].flatMap(([key, { values }]) => (values === null ? [key] : []));
  return failed.length === 0 ? [] : [await journal.append({ type: 'failed-retried', from, measurements: failed })];
}

/**
 * The definition of a sweep that is kept on NATS.
 * @throws DeepDefenseError CHECKPOINT_MISSING, CONNECT_FAILED, NATS_UNSUPPORTED
 */
export async function fetchSweep(sweepId: string, nats: NatsOptions): Promise<SweepSource> {
  return SweepState.fromJournal(await readNatsJournal(sweepId, nats)).state.source;
}

/**
 * Writes down that a sweep that isn't running is to have more candidates.
 * @throws DeepDefenseError USAGE when it has as many already; RUN_IN_USE when somebody runs it after all
 */
export async function extendSweep(place: SweepPlace, candidates: number): Promise<void> {
  await writeControl(place, (state) => {
    checkExtension(candidates, state);
    return { type: 'sweep-controlled', action: 'extend', candidates };
  });
}

/**
 * Writes down the priority of a sweep that isn't running, for when it goes on.
 * @throws DeepDefenseError USAGE for a bad one; RUN_IN_USE when somebody runs it after all
 */
export async function prioritiseSweep(place: SweepPlace, priority: number): Promise<void> {
  await writeControl(place, () => {
    checkPriority(priority);
    return { type: 'sweep-controlled', action: 'priority', priority };
  });
}

/** Where a sweep is kept. */
export interface SweepPlace {
  readonly folder: string;
  readonly sweepId: string;
  readonly nats?: NatsOptions | undefined;
}

async function writeControl(place: SweepPlace, decide: (state: SweepState) => SweepEvent): Promise<void> {
  const { journal, records, close } = await openBackend(place);
  try {
    await journal.append(decide(SweepState.fromJournal(records).state));
    await journal.sync();
  } finally {
    await close();
  }
}
