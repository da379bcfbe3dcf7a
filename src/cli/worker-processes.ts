/**
 * @file The worker processes of `train --workers N`: started, watched, restarted within a budget, and ended with the parent.
 * A worker reads its standard input only to see it end: the kernel closes that pipe when the parent is gone, however it went.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeepDefenseError, EXIT_CODES } from '../core/index.ts';

/** Options of a {@link WorkerProcesses}. */
export interface WorkerProcessesOptions {
  /** Processes to keep running, >= 1. */
  readonly count: number;
  /** Arguments of each worker after `worker`; a function gets the worker's number, from 1. */
  readonly args: readonly string[] | ((worker: number) => readonly string[]);
  /** Folder for `worker-<n>.log`; without it the workers write to this process's stderr. */
  readonly logFolder?: string;
  /** Restarts of one worker after errors before it is given up. Default 3. */
  readonly errors?: number;
  /** Restarts of one worker after signals: something else ended it. Default 50. */
  readonly preemptions?: number;
  /** Wait before a restart; doubles with each error, at most 64 times. Default 500 ms. */
  readonly backoffMs?: number;
  /** Called for each end of a worker that nobody asked for. */
  readonly onExit?: (event: WorkerExit) => void;
  /** Command and its first arguments; the default runs this package's own `worker` command. For tests. */
  readonly command?: readonly [string, ...string[]];
}

/** One unexpected end of a worker process. */
export interface WorkerExit {
  /** Number of the worker, from 1. */
  readonly worker: number;
  readonly processId: number | undefined;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Undefined when the workers write to stderr. */
  readonly logFile: string | undefined;
  /** True when it is started again. */
  readonly restarts: boolean;
}

interface Slot {
  readonly number: number;
  readonly logFile: string | undefined;
  child: ChildProcess | undefined;
  timer: NodeJS.Timeout | undefined;
  errors: number;
  preemptions: number;
  givenUp: boolean;
}

/** As the first line of main.ts starts the command; a loader or a test may have started this process without it. */
const NO_HELPER_THREADS = '--v8-pool-size=0';

/** Exit codes that starting again can't mend. */
const LASTING_FAILURES: ReadonlySet<number> = new Set([EXIT_CODES.USAGE, EXIT_CODES.CONFIG, EXIT_CODES.DATA, EXIT_CODES.PROTOCOL]);

/** Keeps `count` worker processes running until {@link stop}. */
export class WorkerProcesses {
  readonly #options: WorkerProcessesOptions;
  readonly #slots: Slot[];
  #stopping = false;
  #allGivenUp: (slots: readonly WorkerExit[]) => void = () => {};
  #allEnded: (slots: readonly WorkerExit[]) => void = () => {};
  readonly #lastExits: WorkerExit[] = [];
  readonly #killAll = (): void => this.killNow();

  /** Resolves, with the last end of each, when every worker is given up; stays pending otherwise. */
  readonly givenUp: Promise<readonly WorkerExit[]>;
  /** Resolves, with the last end of each, when every worker has ended for good, in whatever way; not after {@link stop}. */
  readonly ended: Promise<readonly WorkerExit[]>;

  constructor(options: WorkerProcessesOptions) {
    this.#options = options;
    this.givenUp = new Promise((resolve) => {
      this.#allGivenUp = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#allEnded = resolve;
    });
    const { logFolder } = options;
    if (logFolder !== undefined) mkdirSync(logFolder, { recursive: true });
    this.#slots = Array.from({ length: options.count }, (_, index) => ({
      number: index + 1,
      logFile: logFolder === undefined ? undefined : join(logFolder, `worker-${index + 1}.log`),
      child: undefined,
      timer: undefined,
      errors: 0,
      preemptions: 0,
      givenUp: false,
    }));
    process.once('exit', this.#killAll);
    for (const slot of this.#slots) this.#start(slot);
  }

  /** Process ids of the workers that run now. */
  get processIds(): readonly number[] {
    return this.#slots.flatMap(({ child }) => (child?.pid === undefined ? [] : [child.pid]));
  }

  /** Waits until all workers have ended by themselves; those still there after `graceMs` get SIGTERM, then SIGKILL 2 s later. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    for (const slot of this.#slots) clearTimeout(slot.timer);
    const ends = Promise.all(this.#slots.map(({ child }) => ended(child)));
    const terminate = setTimeout(() => this.#signalAll('SIGTERM'), graceMs);
    const kill = setTimeout(() => this.#signalAll('SIGKILL'), graceMs + 2000);
    await ends;
    clearTimeout(terminate);
    clearTimeout(kill);
    process.removeListener('exit', this.#killAll);
  }

  /** Asks all workers to say goodbye (SIGTERM) and waits; those still there after `graceMs` get SIGKILL. */
  async leave(graceMs: number): Promise<void> {
    this.#signalAll('SIGTERM');
    await this.stop(graceMs);
  }

  /** SIGKILL to all, without waiting. */
  killNow(): void {
    this.#stopping = true;
    for (const slot of this.#slots) clearTimeout(slot.timer);
    this.#signalAll('SIGKILL');
  }

  #signalAll(signal: NodeJS.Signals): void {
    for (const { child } of this.#slots) if (child !== undefined && isRunning(child)) child.kill(signal);
  }

  #start(slot: Slot): void {
    const log = slot.logFile === undefined ? undefined : openSync(slot.logFile, 'a');
    const { args } = this.#options;
    const output = log ?? 2;
    const [command, ...first] = this.#options.command ?? ownCommand();
    // Own process group: Ctrl-C in a terminal reaches the parent alone, which then lets workers finish their step.
    const child = spawn(command, [...first, ...(typeof args === 'function' ? args(slot.number) : args)], {
      stdio: ['pipe', output, output],
      detached: true,
    });
    if (log !== undefined) closeSync(log);
    slot.child = child;
    child.stdin?.on('error', () => {}); // EPIPE when it ends; its exit is handled below.
    let handled = false;
    const onEnd = (exitCode: number | null, signal: NodeJS.Signals | null): void => {
      if (handled) return;
      handled = true;
      if (slot.child === child) slot.child = undefined;
      if (!this.#stopping) this.#ended(slot, child.pid, exitCode, signal);
    };
    child.once('error', () => onEnd(null, null));
    child.once('exit', onEnd);
  }

  #ended(slot: Slot, processId: number | undefined, exitCode: number | null, signal: NodeJS.Signals | null): void {
    const { errors = 3, preemptions = 50, backoffMs = 500, onExit } = this.#options;
    const lasting = exitCode !== null && LASTING_FAILURES.has(exitCode);
    if (signal === null) slot.errors += 1;
    else slot.preemptions += 1;
    const within = signal === null ? slot.errors <= errors : slot.preemptions <= preemptions;
    const restart = !lasting && exitCode !== EXIT_CODES.OK && within;
    const event: WorkerExit = { worker: slot.number, processId, exitCode, signal, logFile: slot.logFile, restarts: restart };
    this.#lastExits[slot.number - 1] = event;
    if (restart) slot.timer = setTimeout(() => this.#start(slot), backoffMs * 2 ** Math.min(6, Math.max(0, slot.errors - 1)));
    else slot.givenUp = true;
    onExit?.(event);
    if (!this.#slots.every(({ givenUp }) => givenUp)) return;
    this.#allEnded(this.#lastExits);
    // Workers that end with code 0 were told that the run is over.
    if (this.#lastExits.some(({ exitCode: code }) => code !== EXIT_CODES.OK)) this.#allGivenUp(this.#lastExits);
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || !isRunning(child)) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
}

/** Runs this package's `worker` command the way that this process runs: compiled, or through a loader from source. */
function ownCommand(): [string, ...string[]] {
  const main = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));
  const flags = new Set([...process.execArgv, NO_HELPER_THREADS]);
  return [process.execPath, ...flags, main, 'worker', '--stop-with-parent'];
}

/** `(pid 12) was ended by SIGKILL`, for messages. */
export function describeExit({ exitCode, signal, processId }: WorkerExit): string {
  if (signal !== null) return `(pid ${processId}) was ended by ${signal}`;
  return exitCode === null ? "couldn't be started" : `(pid ${processId}) ended with code ${exitCode}`;
}

/** The error for a command all of whose workers are given up. */
export function workersLost(exits: readonly WorkerExit[]): DeepDefenseError {
  return new DeepDefenseError('WORKERS_LOST', {
    what: 'all started worker processes ended and were given up',
    got: exits.map((exit) => `worker ${exit.worker} ${describeExit(exit)}`).join('; '),
    todo: `read ${exits[0]?.logFile ?? 'the logs'}; "deepdefense doctor" checks the installation`,
    fields: { exits },
  });
}
