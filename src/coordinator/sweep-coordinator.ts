/** @file The coordinator of one sweep: brings journal, planner, queue and server together and owns their ends. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SweepSource } from '../config/index.ts';
import {
  type Clock,
  DeepDefenseError,
  isDeepDefenseError,
  PACKAGE_VERSION,
  systemClock,
  takeFileLock,
  writeFileAtomic,
} from '../core/index.ts';
import { FileJournal, type JournalRecord, readJournal, type SweepEvent, type SweepStarted, type TrialMeasured } from '../journal/index.ts';
import { createQueueService, MemoryQueue, type QueueService, type TaskEnd } from '../queue/index.ts';
import type { ObjectiveRecord, SweepRecord } from '../sweeps/index.ts';
import type { Logger } from '../telemetry/index.ts';
import { bindServer, closeServer, createSweepServer, type GrpcServer, type SweepCalls } from '../wire/index.ts';
import { differingLeaves } from './config-difference.ts';
import { EventChannel } from './event-channel.ts';
import { SweepEta } from './sweep-eta.ts';
import type { SweepProgress } from './sweep-progress.ts';
import { measuredOf } from './sweep-measured.ts';
import { sweepRecordOf } from './sweep-record-of.ts';
import { type Decisions, type DuePart, SweepState } from './sweep-state.ts';

export interface SweepOptions {
  /** The definition; undefined = that of the journal. */
  readonly source: SweepSource | undefined;
  /** Folder of the sweep; made when missing. */
  readonly folder: string;
  readonly sweepId: string;
  /** Name and content hash; empty of a test function. */
  readonly dataset: { readonly name: string; readonly contentHash: string };
  /** Failed trials are tried again, from their last checkpoint or from their first step. */
  readonly retryFailed?: 'checkpoint' | 'scratch' | undefined;
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** A sweep at work. */
export interface SweepHandle {
  /** host:port for workers and for `sweep status`. */
  readonly address: string;
  readonly objectives: readonly ObjectiveRecord[];
  /** Expected seconds to go; undefined before there is a rate. */
  readonly secondsLeft: () => number | undefined;
  /** For one watcher; needn't be read. */
  readonly progress: AsyncIterable<SweepProgress>;
  /** Settles when everything is closed. Rejects with the error that ended the sweep. */
  readonly result: Promise<SweepRecord>;
  /** Gives out no more work. */
  hold(): void;
  /** Ends; what workers have not committed is due again when the sweep goes on. */
  stop(reason: string): Promise<void>;
}

/** In the folder of a sweep. */
export const SWEEP_JOURNAL = 'sweep.jsonl';
export const SWEEP_RECORD = 'sweep.json';
/** Where the coordinator listens; there while it runs. */
export const SWEEP_ADDRESS = 'coordinator.json';
/** Run folders of the trials. */
export const TRIALS_FOLDER = 'trials';

const CLOSE_GRACE_MS = 2_000;
/** Claims of one coordinator process; the next one's are higher. */
const EPOCHS_PER_GENERATION = 1e9;

/**
 * Starts a sweep, or goes on with the one in the folder; it goes on by itself.
 * @throws DeepDefenseError CONFIG_*, SWEEP_SPACE_EMPTY, SWEEP_OTHER (another sweep in the folder), RUN_IN_USE, PORT_IN_USE, CONNECT_FAILED,
 * STORAGE_FAILED
 */
export async function startSweep(options: SweepOptions): Promise<SweepHandle> {
  const { folder, source } = options;
  // What is wrong with the definition is said before anything is written.
  if (source !== undefined) SweepState.fresh(source);
  await mkdir(folder, { recursive: true });
  const release = await takeFileLock(join(folder, 'sweep.lock'), { purpose: `with the sweep in "${folder}"`, code: 'RUN_IN_USE' });
  let opened: { readonly journal: FileJournal<SweepEvent>; readonly records: readonly JournalRecord<SweepEvent>[] } | undefined;
  try {
    opened = await FileJournal.open<SweepEvent>(join(folder, SWEEP_JOURNAL), { fsync: 'never' });
    const { journal, records } = opened;
    const first = records[0] ?? (await journal.append(startedEvent(options)));
    const all = records.length === 0 ? [first] : records;
    if (source !== undefined) checkSame(source, first.event as SweepStarted, folder);
    if (options.retryFailed !== undefined) await retryFailed(journal, all, options.retryFailed);
    const { records: current } = options.retryFailed === undefined ? { records: all } : await reread(journal);
    const { state, started } = SweepState.fromJournal(current);
    const coordinator = new SweepCoordinator(options, {
      journal,
      state,
      started,
      startedAt: first.at,
      isNew: records.length === 0,
      release,
    });
    return await coordinator.start();
  } catch (error) {
    await opened?.journal.close();
    await release();
    throw error;
  }
}

interface Opened {
  readonly journal: FileJournal<SweepEvent>;
  readonly state: SweepState;
  readonly started: SweepStarted;
  readonly startedAt: string;
  readonly isNew: boolean;
  readonly release: () => Promise<void>;
}

class SweepCoordinator {
  readonly #options: SweepOptions;
  readonly #opened: Opened;
  readonly #clock: Clock;
  readonly #channel = new EventChannel<SweepProgress>();
  readonly #eta: SweepEta;
  readonly #queue: MemoryQueue;
  readonly #service: QueueService;
  #server: GrpcServer | undefined;
  #paused: boolean;
  #over = false;
  #syncing: Promise<void> | undefined;
  #failure: Error | undefined;
  /** In the journal and not yet counted, in its order. */
  readonly #uncounted: TrialMeasured[] = [];
  #stopReason: string | undefined;

  constructor(options: SweepOptions, opened: Opened) {
    this.#options = options;
    this.#opened = opened;
    this.#clock = options.clock ?? systemClock;
    const { sweep } = opened.state.source;
    this.#paused = opened.state.paused;
    this.#eta = new SweepEta(opened.state, this.#clock);
    this.#queue = new MemoryQueue({
      clock: this.#clock,
      leaseMs: sweep.leaseMs,
      retries: { errors: sweep.errors, preemptions: sweep.preemptions },
      firstEpoch: (opened.state.generation + 1) * EPOCHS_PER_GENERATION,
      mostClaims: sweep.maxParallel,
      onEnd: (end) => this.#record(end),
      onLost: (task, worker) => this.#channel.push({ kind: 'worker-lost', task, worker }),
    });
    if (this.#paused) this.#queue.hold(true);
    this.#service = createQueueService(this.#queue, { sweepId: opened.started.sweepId, leaseMs: sweep.leaseMs, isOver: () => this.#over });
  }

  async start(): Promise<SweepHandle> {
    const { journal, state } = this.#opened;
    const { host, port, folder } = this.#options;
    await journal.append({ type: 'sweep-opened', generation: state.generation + 1 });
    // A new sweep's first decisions; those of one that goes on stand in its journal.
    await this.#follow({ chosen: this.#unrecorded(), due: [...state.due] });
    await journal.sync();
    // Only now: a worker of before that asks for its task must find it here.
    const server = createSweepServer({
      ...this.#service.handlers,
      control: (request) => this.#control(request),
    });
    const bound = await bindServer(server, host, port);
    this.#server = server;
    const address = `${host.includes(':') ? `[${host}]` : host}:${bound}`;
    await writeFileAtomic(join(folder, SWEEP_ADDRESS), JSON.stringify({ address, processId: process.pid }));
    const result = this.#run();
    result.catch(() => {});
    return {
      address,
      objectives: state.trials.objectives,
      secondsLeft: () => this.#eta.secondsLeft(),
      progress: this.#channel,
      result,
      hold: () => this.#queue.hold(true),
      stop: async (reason) => {
        this.#stopReason ??= reason;
        await this.#queue.close();
        await result.then(
          () => {},
          () => {},
        );
      },
    };
  }

  /** Candidates that were chosen since the journal's last line; all of a new sweep, or what a crash cut off. */
  #unrecorded(): Decisions['chosen'] {
    return this.#opened.state.planner.candidates.slice(this.#opened.state.recorded);
  }

  async #run(): Promise<SweepRecord> {
    const { planner } = this.#opened.state;
    let failure: Error | undefined;
    try {
      if (!planner.finished) await this.#work();
      failure = this.#failure;
    } catch (error) {
      failure = errorOf(error);
    }
    try {
      const record = await this.#close(failure !== undefined ? 'failed' : planner.finished ? 'completed' : 'stopped', failure);
      if (failure !== undefined) throw failure;
      return record;
    } catch (error) {
      // The error that ended the sweep is the one to report, even when closing fails too.
      if (failure !== undefined && error !== failure) this.#options.logger.error({ err: error }, 'closing failed');
      throw failure ?? errorOf(error);
    } finally {
      this.#channel.close();
    }
  }

  /** Counts what workers commit until nothing is left to do. */
  async #work(): Promise<void> {
    const { planner } = this.#opened.state;
    for await (const _ of this.#queue.ends()) {
      await this.#count();
      if (planner.finished) return;
    }
  }

  /**
   * Counts what the journal has and the planner hasn't, in the journal's order: a replay sees the same. Up to its first await it runs in
   * one turn, so that whatever is written next stands behind it there, too.
   */
  async #count(): Promise<void> {
    const { state } = this.#opened;
    const counted = this.#uncounted.splice(0);
    const following = counted.map((measured) => {
      this.#eta.count(measured);
      state.add(measured);
      const done = this.#follow(state.advance());
      this.#tell(measured);
      return done;
    });
    if (counted.length > 0) this.#limitByTime();
    await Promise.all(following);
  }

  #tell({ candidate, seedIndex, rung, values, error, seconds }: TrialMeasured): void {
    const { sweep } = this.#opened.state.source;
    const { measurements, planner } = this.#opened.state;
    const seed = sweep.seeds[seedIndex] as number;
    const sums = { measurements: measurements.size, candidates: planner.count, budget: planner.budget };
    this.#channel.push({ kind: 'measured', candidate, seed, rung, values, error, seconds, ...sums });
  }

  /** Makes the end of a task durable; a worker hears of success afterwards. */
  async #record(end: TaskEnd): Promise<void> {
    const due = this.#opened.state.wanted(end.task);
    if (due === undefined) return;
    const measured = measuredOf(end, due, this.#opened.state);
    try {
      const appended = this.#opened.journal.append(measured);
      this.#uncounted.push(measured);
      await appended;
      await this.#sync();
    } catch (error) {
      this.#failure ??= errorOf(error);
      await this.#queue.close();
      throw error;
    }
  }

  /** Forces the journal to the disk; ends that come meanwhile wait for the next time together. */
  async #sync(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing;
    this.#syncing = this.#opened.journal.sync().finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  /** Writes down decisions and hands out what is due. */
  async #follow({ chosen, due }: Decisions): Promise<void> {
    const { journal, state } = this.#opened;
    await Promise.all(chosen.map((each) => journal.append({ type: 'candidate-chosen', ...choiceOf(each) })));
    for (const part of due) await this.#publish(part);
    if (chosen.length > 0) this.#channel.push({ kind: 'chosen', candidates: state.planner.count });
  }

  async #publish({ key, part, chosen }: DuePart): Promise<void> {
    const { state } = this.#opened;
    const work = state.trials.workOf(part, chosen);
    const folder = join(this.#options.folder, TRIALS_FOLDER);
    await this.#queue.publish({ id: key, payload: JSON.stringify({ ...work, folder, fromScratch: state.isFromScratch(key) }) });
  }

  #limitByTime(): void {
    const { state, journal, startedAt } = this.#opened;
    const { hours } = state.source.sweep.budget;
    if (hours === undefined || state.planner.limited || this.#clock.nowMs() - Date.parse(startedAt) < hours * 3_600_000) return;
    void journal.append({ type: 'sweep-controlled', action: 'limit' }).catch(() => {}); // The next append fails as well, and is awaited.
    state.planner.limit();
  }

  async #control({ action, candidates }: SweepCalls['control']['request']): Promise<SweepCalls['control']['reply']> {
    const { state, journal } = this.#opened;
    try {
      if (action === 'pause' || action === 'resume') {
        this.#paused = action === 'pause';
        await journal.append({ type: 'sweep-controlled', action });
        this.#queue.hold(this.#paused);
        this.#eta.restart();
        this.#channel.push({ kind: 'controlled', action });
      } else if (action === 'extend') {
        checkExtension(candidates, state);
        if (this.#over) throw sweepOver();
        const counted = this.#count();
        const appended = journal.append({ type: 'sweep-controlled', action, candidates });
        state.planner.extend(candidates);
        this.#eta.extended();
        const followed = this.#follow(state.advance());
        await Promise.all([counted, appended, followed]);
      } else if (action === 'stop') {
        this.#stopReason ??= 'asked to stop';
        this.#channel.push({ kind: 'controlled', action });
        await this.#queue.close();
      } else if (action !== 'status') {
        throw new DeepDefenseError('USAGE', {
          what: `a sweep can't be asked for "${action}"`,
          expected: 'status, pause, resume, stop or extend',
        });
      }
      return { code: '', message: '', status: JSON.stringify(await this.#status()) };
    } catch (error) {
      if (!isDeepDefenseError(error)) throw error;
      return { code: error.code, message: error.message, status: '' };
    }
  }

  async #status(): Promise<object> {
    const { state } = this.#opened;
    const byState: Record<string, number> = {};
    for (const { state: each } of state.planner.candidates) byState[each] = (byState[each] ?? 0) + 1;
    return { paused: this.#paused, candidates: byState, measurements: state.measurements.size, queue: await this.#queue.counts() };
  }

  async #close(ended: 'completed' | 'stopped' | 'failed', failure: Error | undefined): Promise<SweepRecord> {
    const { journal, state, started, startedAt, release } = this.#opened;
    const { folder } = this.#options;
    this.#over = true;
    await this.#queue.close();
    try {
      const reason = failure !== undefined ? failure.message : ended === 'completed' ? 'all trials are done' : (this.#stopReason ?? '');
      const { decisionsSha256 } = state.planner;
      const record = sweepRecordOf({ state, started, startedAt, endedAt: new Date(this.#clock.nowMs()).toISOString(), outcome: ended });
      if (!isDeepDefenseError(failure) || failure.code !== 'STORAGE_FAILED') {
        await journal.append({ type: 'sweep-finished', state: ended, reason, decisionsSha256 });
        await journal.sync();
        await writeFileAtomic(join(folder, SWEEP_RECORD), `${JSON.stringify(record, undefined, 2)}\n`);
      }
      return record;
    } finally {
      if (ended === 'completed') await this.#service.dismissed(CLOSE_GRACE_MS);
      if (this.#server !== undefined) await closeServer(this.#server, CLOSE_GRACE_MS);
      await journal.close();
      await rm(join(folder, SWEEP_ADDRESS), { force: true });
      await release();
    }
  }
}

function sweepOver(): DeepDefenseError {
  return new DeepDefenseError('USAGE', {
    what: 'the sweep has just ended',
    todo: 'try again in a moment: it is extended in its folder then',
  });
}

function errorOf(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}

function startedEvent({ source, sweepId, dataset, folder }: SweepOptions): SweepStarted {
  if (source === undefined) {
    throw new DeepDefenseError('CHECKPOINT_MISSING', {
      what: `there is no sweep in "${folder}"`,
      expected: `a folder with ${SWEEP_JOURNAL}`,
      todo: 'give the folder of a sweep, or start one with -c',
    });
  }
  return {
    type: 'sweep-started',
    sweepId,
    packageVersion: PACKAGE_VERSION,
    sweep: source.sweep as unknown as Record<string, unknown>,
    base: source.base,
    datasetName: dataset.name,
    datasetHash: dataset.contentHash,
  };
}

function choiceOf({ candidate, point, parameters, trials, refused }: Decisions['chosen'][number]) {
  return { candidate, point, parameters, trials, refused };
}

/** Keys of a sweep file that may change from one process to the next. */
const FREE_SWEEP_KEYS = ['sweepsFolder', 'maxParallel', 'errors', 'preemptions', 'leaseMs'];

function checkSame({ sweep, base }: SweepSource, started: SweepStarted, folder: string): void {
  const differences = differingLeaves({ sweep: started.sweep, base: started.base }, JSON.parse(JSON.stringify({ sweep, base }))).filter(
    ({ key }) => !FREE_SWEEP_KEYS.some((free) => key === `sweep.${free}`),
  );
  const [first] = differences;
  if (first === undefined) return;
  throw new DeepDefenseError('SWEEP_OTHER', {
    what: `the sweep in "${folder}" was defined otherwise`,
    expected: `${first.key} ${first.before}`,
    got: `${first.key} ${first.now}${differences.length > 1 ? `, and ${differences.length - 1} more differences` : ''}`,
    todo: 'go on with the sweep as it is (sweep resume), or give another folder; sweep extend raises the budget',
    fields: { folder, differences },
  });
}

function checkExtension(candidates: number, state: SweepState): void {
  const now = state.planner.budget;
  if (candidates > now) return;
  throw new DeepDefenseError('USAGE', {
    what: 'extend raises the number of candidates',
    expected: `more than ${now}`,
    got: String(candidates),
    todo: 'give the number of candidates of the whole sweep',
  });
}

async function retryFailed(
  journal: FileJournal<SweepEvent>,
  records: readonly JournalRecord<SweepEvent>[],
  from: 'checkpoint' | 'scratch',
): Promise<void> {
  const { state } = SweepState.fromJournal(records);
  const failed = [...state.measurements].flatMap(([key, { values }]) => (values === null ? [key] : []));
  if (failed.length > 0) await journal.append({ type: 'failed-retried', from, measurements: failed });
}

async function reread(journal: FileJournal<SweepEvent>): Promise<{ readonly records: readonly JournalRecord<SweepEvent>[] }> {
  await journal.sync();
  return readJournal<SweepEvent>(journal.path);
}

/**
 * Writes down that a sweep that isn't running is to have more candidates.
 * @throws DeepDefenseError USAGE when it has as many already; RUN_IN_USE when somebody runs it after all
 */
export async function extendSweep(folder: string, candidates: number): Promise<void> {
  const release = await takeFileLock(join(folder, 'sweep.lock'), { purpose: `with the sweep in "${folder}"`, code: 'RUN_IN_USE' });
  try {
    const { journal, records } = await FileJournal.open<SweepEvent>(join(folder, SWEEP_JOURNAL));
    try {
      checkExtension(candidates, SweepState.fromJournal(records).state);
      await journal.append({ type: 'sweep-controlled', action: 'extend', candidates });
    } finally {
      await journal.close();
    }
  } finally {
    await release();
  }
}
