/** @file The coordinator of one sweep: brings journal, planner, queue and server together and owns their ends. */
import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { limitsOf } from '../config/index.ts';
import { type Clock, type ErrorCode, isDeepDefenseError, systemClock, writeFileAtomic } from '../core/index.ts';
import type { QueueCounts } from '../queue/index.ts';
import type { TlsFiles } from '../security/index.ts';
import type { ObjectiveRecord, SweepRecord } from '../sweeps/index.ts';
import { createSecurityReport, type Logger, observeCalls, type Traces } from '../telemetry/index.ts';
import { bindServer, closeServer, createSweepServer, type GrpcServer, type ServerOptions } from '../wire/index.ts';
import { EventChannel } from './event-channel.ts';
import { MeasurementSpans } from './measurement-spans.ts';
import { SweepAnnouncer } from './sweep-announcer.ts';
import { SWEEP_ADDRESS, SWEEP_RECORD, type SweepQueue } from './sweep-backend.ts';
import type { OpenedSweep, SweepContext } from './sweep-context.ts';
import { type ControlRequest, SweepControl } from './sweep-control.ts';
import { SweepEta } from './sweep-eta.ts';
import { SweepLedger } from './sweep-ledger.ts';
import { SweepObserver } from './sweep-observer.ts';
import type { SweepProgress } from './sweep-progress.ts';
import { sweepRecordOf } from './sweep-record-of.ts';

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
/** A scrape waits so long for a queue that is out of reach. */
const SCRAPE_WAIT_MS = 1_000;
/** With these nothing more can, or may, be written. */
const UNWRITABLE: readonly ErrorCode[] = ['STORAGE_FAILED', 'LEADER_LOST', 'JOURNAL_FENCED', 'CONNECT_FAILED'];

/** Made and started by `startSweep` (sweep-opening.ts). */
export class SweepCoordinator {
  readonly #options: SweepOptions;
  readonly #context: SweepContext;
  readonly #announcer: SweepAnnouncer;
  readonly #ledger: SweepLedger;
  /** Set by {@link start}. */
  #queue!: SweepQueue;
  #server: GrpcServer | undefined;
  #failure: Error | undefined;
  #stopReason: string | undefined;

  constructor(options: SweepOptions, opened: OpenedSweep) {
    const { folder, logger, clock = systemClock, traces } = options;
    const { state, started, status } = opened;
    this.#options = options;
    this.#context = {
      ...opened,
      folder,
      clock,
      logger,
      channel: new EventChannel(),
      eta: new SweepEta(state, clock),
      observer: new SweepObserver(started.sweepId, state, status.metrics, createSecurityReport(status.metrics, logger)),
      spans: new MeasurementSpans(started.sweepId, traces),
      standing: { paused: state.paused, priority: state.priority, over: false },
    };
    this.#announcer = new SweepAnnouncer(this.#context);
    this.#ledger = new SweepLedger(this.#context, {
      announcer: this.#announcer,
      publish: (task) => this.#queue.publish(task),
      fail: (error) => this.#fail(error),
    });
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
    const { backend, state, started, status, folder, channel, eta, observer, standing } = this.#context;
    const { host, port, tls, acceptTokens } = this.#options;
    const { sweep } = state.source;
    const generation = state.generation + 1;
    await backend.journal.append({ type: 'sweep-opened', generation });
    // Before the queue, whose workers look there.
    await this.#announcer.announce();
    this.#queue = await backend.openQueue({
      sweepId: started.sweepId,
      generation,
      leaseMs: sweep.leaseMs,
      retries: { errors: sweep.errors, preemptions: sweep.preemptions },
      mostClaims: sweep.maxParallel,
      isOver: () => standing.over,
      priority: () => standing.priority,
      onEnd: (end) => this.#ledger.record(end),
      onRefused: (error, task, peer) => observer.refused(error, task, peer),
      onLost: (task, worker) => {
        observer.workerLost();
        channel.push({ kind: 'worker-lost', task, worker });
        backend.events.publish('trial.worker-lost', { task, worker });
      },
      onFailure: (error) => void this.#fail(error),
    });
    await this.#queue.hold(standing.paused);
    backend.events.publish('run.started', { generation, host: hostname() });
    // A new sweep's first decisions; those of one that goes on stand in its journal.
    await this.#ledger.begin();
    await backend.journal.sync();
    // Only now: a worker of before that asks for its task must find it here.
    const operators = new SweepControl(this.#context, {
      queue: this.#queue,
      ledger: this.#ledger,
      announcer: this.#announcer,
      stop: (reason) => this.#stop(reason),
    });
    const control = (request: ControlRequest) => operators.answer(request);
    backend.serveControl(control);
    const admission: ServerOptions = {
      tls,
      acceptTokens,
      place: { kind: 'sweep', id: started.sweepId },
      limits: limitsOf(state.source.base),
      report: observer.report,
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
      secondsLeft: () => eta.secondsLeft(),
      progress: channel,
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
    const { status, observer, eta, standing } = this.#context;
    const scrape = async (accept: string) =>
      observer.scrape({ queue: await this.#countsSoon(), paused: standing.paused, secondsLeft: eta.secondsLeft() }, accept);
    status.follow(scrape, () => ({
      ready: !standing.over,
      reason: standing.over ? 'the sweep is over' : this.#describe(),
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
    const { state, standing } = this.#context;
    const { planner, measurements } = state;
    return `${standing.paused ? 'paused' : 'at work'}, ${measurements.size} measurements, ${planner.count} of ${planner.budget} candidates`;
  }

  /** No work is given out from now on, here or elsewhere. */
  async #stop(reason: string): Promise<void> {
    this.#stopReason ??= reason;
    await this.#queue.hold(true).catch(() => {}); // The servers are away: workers end what they have.
    await this.#queue.close();
  }

  /** Ends the sweep here with an error. */
  async #fail(error: unknown): Promise<void> {
    this.#failure ??= errorOf(error);
    await this.#queue.close();
  }

  async #run(): Promise<SweepRecord> {
    const { state, channel } = this.#context;
    const { planner } = state;
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
      channel.close();
    }
  }

  /** Counts what workers commit until nothing is left to do. */
  async #work(): Promise<void> {
    const { planner } = this.#context.state;
    for await (const _ of this.#queue.ended()) {
      await this.#ledger.count();
      if (planner.finished) return;
    }
  }

  async #close(ended: 'completed' | 'stopped' | 'failed', failure: Error | undefined): Promise<SweepRecord> {
    const { backend, state, started, startedAt, status, folder, clock, spans, standing } = this.#context;
    standing.over = true;
    if (ended === 'completed')
      await this.#queue.finish().catch((error: unknown) => this.#warn(error, 'workers could not be told that the sweep is over'));
    await this.#queue.close();
    spans.close(ended);
    this.#announcer.cancel();
    try {
      const reason = failure !== undefined ? failure.message : ended === 'completed' ? 'all trials are done' : (this.#stopReason ?? '');
      const { decisionsSha256 } = state.planner;
      const record = sweepRecordOf({ state, started, startedAt, endedAt: new Date(clock.nowMs()).toISOString(), outcome: ended });
      if (!isDeepDefenseError(failure) || !UNWRITABLE.includes(failure.code)) {
        await backend.journal.append({ type: 'sweep-finished', state: ended, reason, decisionsSha256 });
        await backend.journal.sync();
        await this.#announcer.announce(ended).catch((error: unknown) => this.#warn(error, 'the end of the sweep was not told'));
        backend.events.publish('run.finished', { state: ended, reason, decisionsSha256 });
        await writeFileAtomic(join(folder, SWEEP_RECORD), `${JSON.stringify(record, undefined, 2)}\n`);
      }
      return record;
    } finally {
      if (ended === 'completed') await this.#queue.service.dismissed(CLOSE_GRACE_MS);
      await status.close();
      if (this.#server !== undefined) await closeServer(this.#server, CLOSE_GRACE_MS);
      await rm(join(folder, SWEEP_ADDRESS), { force: true });
      await backend.close();
    }
  }

  #warn(error: unknown, text: string): void {
    this.#options.logger.warn({ err: error }, text);
  }
}

function errorOf(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
