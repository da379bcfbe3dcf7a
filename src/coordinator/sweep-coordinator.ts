/** @file The coordinator of one sweep: brings journal, planner, queue and server together and owns their ends. */
import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { limitsOf } from '../config/index.ts';
import { type Clock, DeepDefenseError, type ErrorCode, isDeepDefenseError, systemClock, writeFileAtomic } from '../core/index.ts';
import type { SweepStarted, TrialMeasured } from '../journal/index.ts';
import { DEFAULT_TENANT, type QueueCounts, type TaskEnd } from '../queue/index.ts';
import type { TlsFiles } from '../security/index.ts';
import type { ObjectiveRecord, SweepRecord } from '../sweeps/index.ts';
import { createSecurityReport, type Logger, observeCalls, type Traces } from '../telemetry/index.ts';
import { bindServer, closeServer, createSweepServer, type GrpcServer, type ServerOptions, type SweepCalls } from '../wire/index.ts';
import { EventChannel } from './event-channel.ts';
import { SWEEP_ADDRESS, SWEEP_RECORD, type SweepBackend, type SweepQueue, type SweepStanding, TRIALS_FOLDER } from './sweep-backend.ts';
import { checkExtension, checkPriority } from './sweep-definition.ts';
import { MeasurementSpans } from './measurement-spans.ts';
import { SweepEta } from './sweep-eta.ts';
import { SweepObserver } from './sweep-observer.ts';
import type { SweepProgress } from './sweep-progress.ts';
import { measuredOf } from './sweep-measured.ts';
import { sweepRecordOf } from './sweep-record-of.ts';
import type { SweepStatus } from './sweep-status.ts';
import { type Decisions, type DuePart, measurementKey, type SweepState } from './sweep-state.ts';

export interface SweepOptions {
  /** Folder of the sweep; made when missing. */
  readonly folder: string;
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Certificates of the coordinator; undefined = plain text. */
  readonly tls?: TlsFiles | undefined;
  /** Let in workers and operators that have a token in place of a certificate. */
  readonly acceptTokens?: boolean | undefined;
  /** Of /metrics, /livez and /readyz; 0 = any free port. */
  readonly httpPort: number;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Where spans of measurements go; default nowhere. The caller closes it. */
  readonly traces?: Traces | undefined;
}

/** A sweep at work. */
export interface SweepHandle {
  /** host:port for workers and for `sweep status`. */
  readonly address: string;
  /** e.g. `http://127.0.0.1:9464`. */
  readonly httpUrl: string;
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

const CLOSE_GRACE_MS = 2_000;
/** How the sweep stands is told so often, at most. */
const ANNOUNCE_MS = 1_000;
/** A scrape waits so long for a queue that is out of reach. */
const SCRAPE_WAIT_MS = 1_000;
/** With these nothing more can, or may, be written. */
const UNWRITABLE: readonly ErrorCode[] = ['STORAGE_FAILED', 'LEADER_LOST', 'JOURNAL_FENCED', 'CONNECT_FAILED'];

interface Opened {
  readonly backend: SweepBackend;
  readonly state: SweepState;
  readonly started: SweepStarted;
  readonly startedAt: string;
  /** Closed with the sweep. */
  readonly status: SweepStatus;
}

/** Made and started by `startSweep` (sweep-opening.ts). */
export class SweepCoordinator {
  readonly #options: SweepOptions;
  readonly #opened: Opened;
  readonly #clock: Clock;
  readonly #channel = new EventChannel<SweepProgress>();
  readonly #eta: SweepEta;
  readonly #observer: SweepObserver;
  readonly #spans: MeasurementSpans;
  /** Set by {@link start}. */
  #queue!: SweepQueue;
  #server: GrpcServer | undefined;
  #paused: boolean;
  #over = false;
  #priority: number;
  #syncing: Promise<void> | undefined;
  /** Ends the wait of the next announcement; undefined while none is due. */
  #announcing: NodeJS.Timeout | undefined;
  #failure: Error | undefined;
  /** In the journal and not yet counted, in its order. */
  readonly #uncounted: TrialMeasured[] = [];
  #stopReason: string | undefined;

  constructor(options: SweepOptions, opened: Opened) {
    this.#options = options;
    this.#opened = opened;
    this.#clock = options.clock ?? systemClock;
    this.#paused = opened.state.paused;
    this.#priority = opened.state.priority;
    this.#eta = new SweepEta(opened.state, this.#clock);
    this.#spans = new MeasurementSpans(opened.started.sweepId, options.traces);
    const { metrics } = opened.status;
    this.#observer = new SweepObserver(opened.started.sweepId, opened.state, metrics, createSecurityReport(metrics, options.logger));
  }

  async start(): Promise<SweepHandle> {
    try {
      return await this.#open();
    } catch (error) {
      await this.#queue?.close();
      if (this.#server !== undefined) await closeServer(this.#server, 0);
      throw error;
    }
  }

  async #open(): Promise<SweepHandle> {
    const { backend, state, started, status } = this.#opened;
    const { host, port, tls, acceptTokens, folder } = this.#options;
    const { sweep } = state.source;
    const generation = state.generation + 1;
    await backend.journal.append({ type: 'sweep-opened', generation });
    // Before the queue, whose workers look there.
    await this.#announce(this.#paused ? 'paused' : 'running');
    this.#queue = await backend.openQueue({
      sweepId: started.sweepId,
      generation,
      leaseMs: sweep.leaseMs,
      retries: { errors: sweep.errors, preemptions: sweep.preemptions },
      mostClaims: sweep.maxParallel,
      isOver: () => this.#over,
      priority: () => this.#priority,
      onEnd: (end) => this.#record(end),
      onRefused: (error, task, peer) => this.#observer.refused(error, task, peer),
      onLost: (task, worker) => {
        this.#observer.workerLost();
        this.#channel.push({ kind: 'worker-lost', task, worker });
        backend.events.publish('trial.worker-lost', { task, worker });
      },
      onFailure: (error) => void this.#fail(error),
    });
    await this.#queue.hold(this.#paused);
    backend.events.publish('run.started', { generation, host: hostname() });
    // A new sweep's first decisions; those of one that goes on stand in its journal.
    await this.#follow({ chosen: this.#unrecorded(), due: [...state.due] });
    await backend.journal.sync();
    // Only now: a worker of before that asks for its task must find it here.
    const control = (request: SweepCalls['control']['request']) => this.#control(request);
    backend.serveControl(control);
    const admission: ServerOptions = {
      tls,
      acceptTokens,
      place: { kind: 'sweep', id: started.sweepId },
      limits: limitsOf(state.source.base),
      report: this.#observer.report,
      observer: observeCalls(status.metrics),
    };
    const server = createSweepServer({ ...this.#queue.service.handlers, control }, admission);
    const bound = await bindServer(server, host, port, admission);
    this.#server = server;
    status.metrics.sweepGeneration.set(generation);
    this.#showStatus();
    const address = `${host.includes(':') ? `[${host}]` : host}:${bound}`;
    await writeFileAtomic(join(folder, SWEEP_ADDRESS), JSON.stringify({ address, processId: process.pid }));
    const result = this.#run();
    result.catch(() => {});
    return {
      address,
      httpUrl: status.url,
      objectives: state.trials.objectives,
      secondsLeft: () => this.#eta.secondsLeft(),
      progress: this.#channel,
      result,
      hold: () => void this.#queue.hold(true).catch(() => {}), // What keeps it from being held ends the sweep.
      stop: async (reason) => {
        await this.#stop(reason);
        await result.then(
          () => {},
          () => {},
        );
      },
    };
  }

  #showStatus(): void {
    const scrape = async (accept: string) =>
      this.#observer.scrape({ queue: await this.#countsSoon(), paused: this.#paused, secondsLeft: this.#eta.secondsLeft() }, accept);
    this.#opened.status.follow(scrape, () => ({
      ready: !this.#over,
      reason: this.#over ? 'the sweep is over' : this.#describe(),
    }));
  }

  /** What the queue holds; undefined when it can't be asked now: whoever looks should see the rest. */
  async #countsSoon(): Promise<QueueCounts | undefined> {
    const waited = new AbortController();
    try {
      return await Promise.race([this.#queue.counts(), sleep(SCRAPE_WAIT_MS, undefined, { signal: waited.signal })]);
    } catch {
      return undefined;
    } finally {
      waited.abort();
    }
  }

  /** One line for people and probes. */
  #describe(): string {
    const { planner, measurements } = this.#opened.state;
    return `${this.#paused ? 'paused' : 'at work'}, ${measurements.size} measurements, ${planner.count} of ${planner.budget} candidates`;
  }

  /** No work is given out from now on, here or elsewhere. */
  async #stop(reason: string): Promise<void> {
    this.#stopReason ??= reason;
    await this.#queue.hold(true).catch(() => {}); // The servers are away: workers end what they have.
    await this.#queue.close();
  }

  /** Ends the sweep here with an error. */
  async #fail(error: Error): Promise<void> {
    this.#failure ??= error;
    await this.#queue.close();
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
    for await (const _ of this.#queue.ended()) {
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
      this.#observer.measured(measured);
      const done = this.#follow(state.advance());
      this.#tell(measured);
      return done;
    });
    if (counted.length > 0) {
      this.#limitByTime();
      this.#announceSoon();
    }
    await Promise.all(following);
  }

  async #announce(state: SweepStanding['state']): Promise<void> {
    clearTimeout(this.#announcing);
    this.#announcing = undefined;
    const { backend, startedAt } = this.#opened;
    const { source, planner, measurements } = this.#opened.state;
    await backend.announce({
      tenant: source.sweep.tenant ?? DEFAULT_TENANT,
      priority: this.#priority,
      state,
      startedAt,
      measurements: measurements.size,
      candidates: planner.count,
      budget: planner.budget,
    });
  }

  /** At most once per interval. Nothing waits for it. */
  #announceSoon(): void {
    this.#announcing ??= setTimeout(() => {
      this.#announcing = undefined;
      if (this.#over) return;
      this.#announce(this.#paused ? 'paused' : 'running').catch((error: unknown) => this.#warn(error, 'how the sweep stands was not told'));
    }, ANNOUNCE_MS);
  }

  #tell(measured: TrialMeasured): void {
    const { candidate, seedIndex, rung, values, error, seconds, worker, epoch, trial } = measured;
    const { state, backend } = this.#opened;
    const { measurements, planner } = state;
    const seed = state.source.sweep.seeds[seedIndex] as number;
    const sums = { measurements: measurements.size, candidates: planner.count, budget: planner.budget };
    this.#channel.push({ kind: 'measured', candidate, seed, rung, values, error, seconds, ...sums });
    const task = measurementKey(trial, rung);
    if (values !== null) backend.events.publish('trial.measured', { task, candidate, rung, values, seconds, worker, epoch });
    else if (error !== undefined) backend.events.publish('trial.failed', { task, candidate, rung, error, worker, epoch });
  }

  /** Makes the end of a task durable; a worker hears of success afterwards. */
  async #record(end: TaskEnd): Promise<void> {
    const due = this.#opened.state.wanted(end.task);
    if (due === undefined) return;
    const measured = measuredOf(end, due, this.#opened.state);
    try {
      const appended = this.#opened.backend.journal.append(measured);
      this.#uncounted.push(measured);
      await appended;
      await this.#sync();
      this.#spans.end(end.task, measured.error?.code);
    } catch (error) {
      await this.#fail(errorOf(error));
      throw error;
    }
  }

  /** Forces the journal to the disk; ends that come meanwhile wait for the next time together. */
  async #sync(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing;
    this.#syncing = this.#opened.backend.journal.sync().finally(() => {
      this.#syncing = undefined;
    });
    await this.#syncing;
  }

  /** Writes down decisions and hands out what is due. */
  async #follow({ chosen, due }: Decisions): Promise<void> {
    const { backend, state } = this.#opened;
    await Promise.all(chosen.map((each) => backend.journal.append({ type: 'candidate-chosen', ...choiceOf(each) })));
    for (const { candidate, trials, parameters } of chosen) backend.events.publish('trial.chosen', { candidate, trials, parameters });
    for (const part of due) await this.#publish(part);
    if (chosen.length > 0) this.#channel.push({ kind: 'chosen', candidates: state.planner.count });
  }

  async #publish({ key, task, trial, part, chosen }: DuePart): Promise<void> {
    const { state } = this.#opened;
    const work = state.trials.workOf(part, chosen, (candidate) => state.chosen(candidate));
    const folder = join(this.#options.folder, TRIALS_FOLDER);
    const { gang } = state.source.sweep;
    const { sweepId } = this.#opened.started;
    const traceparent = this.#spans.begin(task, { ...part, trial });
    const payload = { ...work, sweep: sweepId, folder, fromScratch: state.isFromScratch(key), gang, traceparent };
    const outcome = await this.#queue.publish({ id: task, payload: JSON.stringify(payload) });
    if (outcome === 'duplicate') this.#spans.forget(task);
  }

  #limitByTime(): void {
    const { state, backend, startedAt } = this.#opened;
    const { hours } = state.source.sweep.budget;
    if (hours === undefined || state.planner.limited || this.#clock.nowMs() - Date.parse(startedAt) < hours * 3_600_000) return;
    void backend.journal.append({ type: 'sweep-controlled', action: 'limit' }).catch(() => {}); // The next append fails as well, and is awaited.
    state.planner.limit();
  }

  async #control({ action, candidates, priority = 0 }: SweepCalls['control']['request']): Promise<SweepCalls['control']['reply']> {
    const { state, backend } = this.#opened;
    const { journal, events } = backend;
    try {
      if (action === 'pause' || action === 'resume') {
        this.#paused = action === 'pause';
        await journal.append({ type: 'sweep-controlled', action });
        await this.#queue.hold(this.#paused);
        events.publish(this.#paused ? 'run.paused' : 'run.resumed', { reason: 'asked to' });
        this.#eta.restart();
        await this.#announce(this.#paused ? 'paused' : 'running');
        this.#channel.push({ kind: 'controlled', action });
      } else if (action === 'priority') {
        checkPriority(priority);
        if (this.#over) throw sweepOver();
        await journal.append({ type: 'sweep-controlled', action, priority });
        this.#priority = priority;
        await this.#announce(this.#paused ? 'paused' : 'running');
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
        events.publish('run.extended', { candidates });
      } else if (action === 'stop') {
        this.#channel.push({ kind: 'controlled', action });
        await this.#stop('asked to stop');
      } else if (action !== 'status') {
        throw new DeepDefenseError('USAGE', {
          what: `a sweep can't be asked for "${action}"`,
          expected: 'status, pause, resume, stop, extend or priority',
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
    return {
      paused: this.#paused,
      priority: this.#priority,
      candidates: byState,
      measurements: state.measurements.size,
      queue: await this.#queue.counts(),
    };
  }

  async #close(ended: 'completed' | 'stopped' | 'failed', failure: Error | undefined): Promise<SweepRecord> {
    const { backend, state, started, startedAt } = this.#opened;
    const { folder } = this.#options;
    this.#over = true;
    if (ended === 'completed')
      await this.#queue.finish().catch((error: unknown) => this.#warn(error, 'workers could not be told that the sweep is over'));
    await this.#queue.close();
    this.#spans.close(ended);
    clearTimeout(this.#announcing);
    try {
      const reason = failure !== undefined ? failure.message : ended === 'completed' ? 'all trials are done' : (this.#stopReason ?? '');
      const { decisionsSha256 } = state.planner;
      const record = sweepRecordOf({ state, started, startedAt, endedAt: new Date(this.#clock.nowMs()).toISOString(), outcome: ended });
      if (!isDeepDefenseError(failure) || !UNWRITABLE.includes(failure.code)) {
        await backend.journal.append({ type: 'sweep-finished', state: ended, reason, decisionsSha256 });
        await backend.journal.sync();
        await this.#announce(ended).catch((error: unknown) => this.#warn(error, 'the end of the sweep was not told'));
        backend.events.publish('run.finished', { state: ended, reason, decisionsSha256 });
        await writeFileAtomic(join(folder, SWEEP_RECORD), `${JSON.stringify(record, undefined, 2)}\n`);
      }
      return record;
    } finally {
      if (ended === 'completed') await this.#queue.service.dismissed(CLOSE_GRACE_MS);
      await this.#opened.status.close();
      if (this.#server !== undefined) await closeServer(this.#server, CLOSE_GRACE_MS);
      await rm(join(folder, SWEEP_ADDRESS), { force: true });
      await backend.close();
    }
  }

  #warn(error: unknown, text: string): void {
    this.#options.logger.warn({ err: error }, text);
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

function choiceOf({ candidate, point, parameters, trials, refused, parent }: Decisions['chosen'][number]) {
  return { candidate, point, parameters, trials, refused, ...(parent !== undefined && { parent }) };
}
