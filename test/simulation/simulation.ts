/**
 * @file One simulated run: a coordinator with its lives, workers, the network between them and the coordinator's disk. All of it
 * follows from the seed, or from a script, so that what happened once happens again.
 */
import type { Config } from '../../src/config/index.ts';
import { isDeepDefenseError, Random } from '../../src/core/index.ts';
import { type Recipe, type Reference, referenceOf, trainSamplesOf } from './arithmetic.ts';
import { Checker } from './checker.ts';
import { type CoordinatorEnd, CoordinatorLife, JOURNAL, WEIGHTS } from './coordinator.ts';
import { SimulatedDisk, type StopAt } from './disk.ts';
import { EventQueue, START_MS } from './event-queue.ts';
import { Connection, type NetworkFaults } from './network.ts';
import { SimulatedWorker, type WorkerFaults } from './worker.ts';

/** After the last fault a run must end within this much virtual time. */
const PATIENCE_MS = 120_000;
const MOST_EVENTS = 400_000;
/** The longest chain of promises between two events is some thirty long. */
const MICROTASKS = 64;
const SETTLED = Promise.resolve();
/** How a run may end before its time and be started again. */
const EXPECTED_ENDS = new Set(['WORKERS_LOST', 'STORAGE_FAILED', 'ENGINE_FAILED']);

export interface SimulationOptions {
  readonly seed: number;
  readonly recipe: Recipe;
  /** Changes to the recipe's config that must not change a bit of the result. */
  readonly config?: (config: Config) => Config;
  /** Started at once; each is replaced some time after its end. */
  readonly workers: number;
  /** Asked before each change of the disk; with `power` the machine stops, else the process. */
  readonly stopAt?: (what: string) => { readonly at: StopAt; readonly power: boolean } | undefined;
  readonly trace?: ((line: string) => void) | undefined;
}

/** How often what happened; a test asserts that all of it did. */
export type Tally = Record<string, number>;

export class Simulation {
  readonly clock = new EventQueue();
  readonly random: Random;
  readonly workers = new Set<SimulatedWorker>();
  readonly checker: Checker;
  readonly disk: SimulatedDisk;
  readonly network: NetworkFaults = { duplicate: 0, slowestMs: 5 };
  readonly workerFaults: WorkerFaults = { fail: 0, slow: 0, forge: 0, repeat: 0, stale: 0 };
  readonly tally: Tally = {};
  readonly config: Config;
  readonly #options: SimulationOptions;
  readonly #reference: Reference;
  readonly #partitions = new Map<string, number>();
  readonly #connections = new Set<Connection>();
  #life: CoordinatorLife | undefined;
  #forcedRecords = 0;
  #settling = true;
  #named = 0;
  #events = 0;
  #dieAtEvent = Number.POSITIVE_INFINITY;
  #dieAtChange = Number.POSITIVE_INFINITY;
  #diesWithPower = false;
  #calmSinceMs: number;
  #sent = 0;
  #latest = 0;
  #completed = false;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.random = new Random('order', options.seed);
    this.#reference = referenceOf(options.recipe);
    this.checker = new Checker(this.#reference);
    this.config = options.config?.(this.#reference.config) ?? this.#reference.config;
    this.#calmSinceMs = this.clock.nowMs();
    this.disk = new SimulatedDisk({
      clock: this.clock,
      random: this.random,
      onSettled: () => {
        this.#settling = true;
      },
      onChange: (what) => this.#stopAt(what),
      onStop: () => this.stopCoordinator(this.#diesWithPower, this.random.integer(300)),
      trace: this.trace,
    });
    this.#start();
    for (let i = 0; i < options.workers; i++) this.addWorker(this.random.integer(100));
  }

  get completed(): boolean {
    return this.#completed;
  }

  /** The coordinator, once workers can reach it. */
  get coordinator(): CoordinatorLife | undefined {
    return this.#life?.pool === undefined ? undefined : this.#life;
  }

  readonly trace = (text: () => string): void => {
    this.#options.trace?.(`${String(this.clock.nowMs() - START_MS).padStart(7)} ${text()}`);
  };

  count(what: string, by = 1): void {
    this.tally[what] = (this.tally[what] ?? 0) + by;
  }

  // --- what can be done to a run

  addWorker(delayMs: number, name = `w${++this.#named}`): void {
    this.clock.setTimer(delayMs, () => {
      if (this.#completed) return;
      const { cluster } = this.config;
      const worker: SimulatedWorker = new SimulatedWorker({
        clock: this.clock,
        random: this.random,
        name,
        faults: this.workerFaults,
        heartbeatMs: cluster.heartbeatMs,
        slowMs: cluster.stepDeadlineMs,
        vectorLength: this.#reference.vectorLength,
        connect: (self) => this.#connect(self),
        onForged: () => this.count('forged answers'),
        onReconnect: () => this.count('reconnects'),
        onGone: (self, why) => {
          this.trace(() => `worker ${self.name} is gone: ${why}`);
          this.workers.delete(self);
          // Somebody starts another one, some time later.
          if (this.workers.size < this.#options.workers) this.addWorker(this.random.integer(800));
        },
        violation: (text) => this.checker.fail(text),
      });
      this.workers.add(worker);
    });
  }

  /** The coordinator dies, with the machine or alone, and is started again later. */
  stopCoordinator(power: boolean, downMs: number): void {
    if (this.#life === undefined || this.#completed) return;
    this.count(power ? 'power cuts' : 'coordinator crashes');
    this.trace(() => (power ? 'the power is cut' : 'the coordinator dies'));
    this.#forcedRecords = this.disk.sureLines(JOURNAL, power);
    this.disk.stop(power);
    this.#leaveLife();
    this.clock.setTimer(downMs, () => this.#start());
  }

  /** The coordinator dies some events from now. */
  stopCoordinatorIn(events: number, power: boolean): void {
    this.#dieAtEvent = this.#events + events;
    this.#diesWithPower = power;
  }

  /** The coordinator dies at one of the next changes of its disk. */
  stopCoordinatorAtChange(changes: number, power: boolean): void {
    this.#dieAtChange = changes;
    this.#diesWithPower = power;
  }

  /** Messages of this worker wait for so long. */
  partition(name: string, ms: number): void {
    this.count('partitions');
    this.#partitions.set(name, this.clock.nowMs() + ms);
  }

  requestStop(): void {
    this.count('stop requests');
    this.#life?.requestStop();
  }

  /** From now on nothing goes wrong that hasn't begun. */
  calm(): void {
    this.#partitions.clear();
    for (const worker of this.workers) worker.thaw();
    Object.assign(this.network, { duplicate: 0, slowestMs: 5 } satisfies NetworkFaults);
    Object.assign(this.workerFaults, { fail: 0, slow: 0, forge: 0, repeat: 0, stale: 0 } satisfies WorkerFaults);
    this.disk.full = false;
    this.disk.slowestMs = 2;
    this.#dieAtEvent = Number.POSITIVE_INFINITY;
    this.#dieAtChange = Number.POSITIVE_INFINITY;
    this.#calmSinceMs = this.clock.nowMs();
  }

  // --- time

  /** Goes on until the run is completed. */
  async finish(): Promise<Tally> {
    await this.until(() => this.#completed);
    this.checker.completed(this.disk.peek(WEIGHTS)?.toString());
    if (this.checker.breach !== undefined) throw this.checker.breach;
    for (const [name, count] of Object.entries({ ...this.checker.tally, ...this.disk.tally })) this.count(name, count);
    this.count('events', this.#events);
    return this.tally;
  }

  /** Goes on until something holds after an event. */
  async until(holds: () => boolean): Promise<void> {
    // The product measures its phases with the one, and collects garbage after a step with the other; here there is one time only.
    const { now } = performance;
    const { setImmediate } = globalThis;
    performance.now = () => this.clock.nowMs();
    globalThis.setImmediate = (() => {}) as unknown as typeof setImmediate;
    try {
      while (!holds()) {
        if (!this.clock.step()) throw new Error('nothing is left to happen');
        this.#events += 1;
        if (this.#settling || this.#life?.awaits === true) await settle();
        this.#settling = false;
        if (this.checker.breach !== undefined) throw this.checker.breach;
        if (this.#events >= this.#dieAtEvent) {
          this.#dieAtEvent = Number.POSITIVE_INFINITY;
          this.stopCoordinator(this.#diesWithPower, this.random.integer(500));
        }
        if (this.clock.nowMs() > this.#calmSinceMs + PATIENCE_MS || this.#events > MOST_EVENTS)
          throw new Error(
            `no end in sight after ${this.#events} events, ${this.clock.nowMs() - this.#calmSinceMs} ms after the last fault`,
          );
      }
    } finally {
      performance.now = now;
      globalThis.setImmediate = setImmediate;
    }
  }

  /** Faults go on until then; patience begins later. */
  expectFaultsUntil(ms: number): void {
    this.#calmSinceMs = this.clock.nowMs() + ms;
  }

  // --- lives

  #stopAt(what: string): StopAt | undefined {
    const scripted = this.#options.stopAt?.(what);
    if (scripted !== undefined) this.#diesWithPower = scripted.power;
    if (this.#dieAtChange-- > 0) return scripted?.at;
    this.#dieAtChange = Number.POSITIVE_INFINITY;
    return (['before', 'torn', 'after'] as const)[this.random.integer(3)];
  }

  #start(): void {
    this.count('lives');
    this.trace(() => 'the coordinator starts');
    const life = new CoordinatorLife({
      clock: this.clock,
      disk: this.disk,
      config: this.config,
      trainSamples: trainSamplesOf(this.#options.recipe),
      checker: this.checker,
      forcedRecords: this.#forcedRecords,
      onRecord: () => {
        this.#settling = true;
      },
      onResumed: (fromStep, skipped) => {
        this.count(fromStep === 0 ? 'runs begun again' : 'resumes');
        // What is renamed was forced to disk, and so was the journal before it.
        if (skipped > 0) this.checker.fail(`${skipped} checkpoints were of no use`);
        this.trace(() => `the run goes on after step ${fromStep}`);
      },
      onWaiting: () => this.count('waiting notices'),
      onCheckpoint: () => this.count('checkpoints'),
      onEnded: (end) => this.#ended(end),
      trace: this.trace,
    });
    this.#life = life;
    this.#settling = true;
  }

  #ended(end: CoordinatorEnd): void {
    const error = end.state === 'failed' ? end.error : undefined;
    this.trace(() => `the coordinator ends: ${end.state} ${error instanceof Error ? error.message : ''}`);
    this.#forcedRecords = this.disk.sureLines(JOURNAL, false);
    this.disk.stop(false);
    this.#leaveLife();
    if (end.state === 'completed') this.#completed = true;
    else {
      const code = end.state === 'stopped' ? 'stopped' : isDeepDefenseError(error) ? error.code : 'another error';
      this.count(`ended: ${code}`);
      if (end.state === 'failed' && !EXPECTED_ENDS.has(code))
        this.checker.fail(`the run ended: ${error instanceof Error ? error.stack : ''}`);
      // An operator sees it, and makes room where that was the cause.
      this.clock.setTimer(100 + this.random.integer(400), () => {
        if (code === 'STORAGE_FAILED') this.disk.full = false;
        this.#start();
      });
    }
  }

  #leaveLife(): void {
    this.#life?.die();
    this.#life = undefined;
    for (const connection of this.#connections) connection.coordinatorDied();
    this.#connections.clear();
  }

  // --- connections

  #connect(worker: SimulatedWorker): Connection | undefined {
    const life = this.#life;
    const blockedUntilMs = () => this.#partitions.get(worker.name) ?? 0;
    if (life?.pool === undefined || blockedUntilMs() > this.clock.nowMs()) return undefined;
    const id: { value: number } = { value: 0 };
    const sequence = { last: 0 };
    const connection: Connection = new Connection(
      { clock: this.clock, random: this.random, faults: this.network },
      {
        blockedUntilMs,
        frozenUntilMs: () => worker.frozenUntilMs,
        atCoordinator: (report) => {
          this.#noteOrder(sequence.last);
          sequence.last = ++this.#sent;
          this.trace(() => `${worker.name} (${id.value}) says ${report.kind}`);
          life.receive(id.value, report);
        },
        coordinatorLost: () => life.pool?.disconnect(id.value, 'the stream is closed'),
        atWorker: (message) => worker.receive(connection, message),
        workerLost: () => {
          this.#connections.delete(connection);
          worker.lost(connection);
        },
        duplicated: () => this.count('duplicated messages'),
      },
    );
    this.#connections.add(connection);
    id.value = life.pool.connect(connection);
    return connection;
  }

  #noteOrder(last: number): void {
    if (last < this.#latest) this.count('other order');
    this.#latest = last;
  }
}

/** Lets promises go on as far as they can without another event. */
async function settle(): Promise<void> {
  for (let i = 0; i < MICROTASKS; i++) await SETTLED;
}
