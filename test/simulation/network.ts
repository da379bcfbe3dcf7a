/**
 * @file The simulated network. A connection delivers in order in each direction, after random delays; connections know nothing of each
 * other, so messages of two workers overtake each other freely. Nothing is lost but with its connection. Beyond what gRPC does, a message
 * can come twice: the protocol must not depend on the transport for that.
 */
import type { WorkerLink, WorkerReport } from '../../src/coordinator/worker-link.ts';
import type { Clock, Random } from '../../src/core/index.ts';
import type { CoordinatorMessage } from '../../src/wire/index.ts';

/** A version of the parameters on its way. */
export interface Snapshot {
  readonly version: number;
  readonly values: Float32Array;
}

export type Down = CoordinatorMessage | Snapshot;

/** How the network behaves now. */
export interface NetworkFaults {
  duplicate: number;
  slowestMs: number;
}

export interface NetworkOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly faults: NetworkFaults;
}

/** One direction of a connection. */
class Channel<Message> {
  readonly #options: NetworkOptions;
  readonly #deliver: (message: Message) => void;
  readonly #blockedUntilMs: () => number;
  readonly #onDuplicate: () => void;
  readonly #queue: { readonly atMs: number; readonly message: Message }[] = [];
  #lastMs = 0;
  #pumping = false;
  closed = false;

  constructor(options: NetworkOptions, blockedUntilMs: () => number, onDuplicate: () => void, deliver: (message: Message) => void) {
    this.#options = options;
    this.#blockedUntilMs = blockedUntilMs;
    this.#onDuplicate = onDuplicate;
    this.#deliver = deliver;
  }

  send(message: Message): void {
    if (this.closed) return;
    const { random, faults } = this.#options;
    this.#push(message);
    if (faults.duplicate === 0 || random.uniform() >= faults.duplicate) return;
    this.#onDuplicate();
    this.#push(message);
  }

  /** Comes after all that was sent, once. */
  sendLast(message: Message): void {
    if (this.closed) return;
    this.#push(message);
    this.closed = true;
  }

  /** The sender is gone: of what is on its way any prefix still arrives. */
  cut(last: Message): void {
    this.closed = true;
    this.#queue.length = this.#options.random.integer(this.#queue.length + 1);
    this.#push(last);
  }

  /** Nothing more arrives. */
  close(): void {
    this.closed = true;
    this.#queue.length = 0;
  }

  #push(message: Message): void {
    const { clock, random, faults } = this.#options;
    this.#lastMs = Math.max(this.#lastMs, clock.nowMs() + random.integer(faults.slowestMs + 1));
    this.#queue.push({ atMs: this.#lastMs, message });
    this.#pump();
  }

  #pump(): void {
    const [head] = this.#queue;
    if (this.#pumping || head === undefined) return;
    const { clock } = this.#options;
    this.#pumping = true;
    clock.setTimer(Math.max(0, Math.max(head.atMs, this.#blockedUntilMs()) - clock.nowMs()), () => {
      this.#pumping = false;
      if (this.#blockedUntilMs() <= clock.nowMs()) {
        const next = this.#queue.shift();
        if (next !== undefined) this.#deliver(next.message);
      }
      this.#pump();
    });
  }
}

/** What happens at the ends of a connection. */
export interface Ends {
  /** No message moves before. */
  blockedUntilMs(): number;
  /** Nor does the worker's process read or write before. */
  frozenUntilMs(): number;
  atCoordinator(report: WorkerReport): void;
  coordinatorLost(): void;
  atWorker(message: Down): void;
  workerLost(): void;
  duplicated(): void;
}

const LOST = Symbol('lost');

/** One worker's stream to one life of the coordinator; the coordinator's end is a link of the pool. */
export class Connection implements WorkerLink<Snapshot> {
  readonly #options: NetworkOptions;
  readonly #ends: Ends;
  readonly #up: Channel<WorkerReport | typeof LOST>;
  readonly #down: Channel<Down | typeof LOST>;

  constructor(options: NetworkOptions, ends: Ends) {
    this.#options = options;
    this.#ends = ends;
    const blocked = () => Math.max(ends.blockedUntilMs(), ends.frozenUntilMs());
    this.#up = new Channel(options, blocked, ends.duplicated, (report) => {
      if (report === LOST) ends.coordinatorLost();
      else ends.atCoordinator(report);
    });
    this.#down = new Channel(options, blocked, ends.duplicated, (message) => {
      if (message === LOST) ends.workerLost();
      else ends.atWorker(message);
    });
  }

  send(message: CoordinatorMessage): void {
    this.#down.send(message);
  }

  sendParameters(snapshot: Snapshot): void {
    this.#down.send(snapshot);
  }

  close(): void {
    this.#up.close();
    this.#down.sendLast(LOST);
  }

  say(report: WorkerReport): void {
    this.#up.send(report);
  }

  /** The worker closes its end after what it said. */
  leave(): void {
    this.#down.close();
    this.#up.sendLast(LOST);
  }

  /** The connection breaks: what was on its way is lost, and each side notices in its own time. */
  reset(): void {
    const { clock, random } = this.#options;
    this.#up.close();
    this.#down.close();
    clock.setTimer(random.integer(50), this.#ends.workerLost);
    clock.setTimer(random.integer(2) === 0 ? random.integer(50) : random.integer(2_000), this.#ends.coordinatorLost);
  }

  /** The worker's process dies. Its machine says so, or nobody does until the connection times out. */
  workerDied(): void {
    const { clock, random } = this.#options;
    this.#down.close();
    if (random.integer(2) === 0) this.#up.cut(LOST);
    else {
      this.#up.close();
      clock.setTimer(random.integer(5_000), this.#ends.coordinatorLost);
    }
  }

  coordinatorDied(): void {
    this.#up.close();
    this.#down.cut(LOST);
  }
}
