/** @file One run with real processes that can be disturbed: a coordinator that is started again whenever it ends too early, workers behind TCP gates. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { Config } from '../../config/index.ts';
import { DeepDefenseError, type DiskFaults } from '../../core/index.ts';
import { JournalTail } from './journal-tail.ts';
import type { Fault } from './fault-schedule.ts';
import { TcpGate } from './tcp-gate.ts';

export interface ChaosClusterOptions {
  readonly config: Config;
  readonly workers: number;
  /** Holds config, logs and the run's folder; made when missing. */
  readonly folder: string;
}

/** A committed step as it was seen. */
export interface SeenStep {
  /** Steps of the run after it. */
  readonly committed: number;
  /** Monotonic milliseconds. */
  readonly atMs: number;
}

interface Worker {
  readonly number: number;
  readonly gate: TcpGate;
  child: ChildProcess | undefined;
}

/** Time between two looks at the journal; the resolution of recovery times. */
const POLL_MS = 25;
/** A worker that was killed is back after so long, as a pod would be. */
const WORKER_RESTART_MS = 500;
/** Extra delay of a slow network per direction, and of a slow disk per write. */
const NETWORK_DELAY_MS = 100;
const DISK_DELAY_MS = 200;
/** A coordinator that ends so often without getting on has another trouble than the faults. */
const MOST_FUTILE_STARTS = 20;

/** See the file's header. */
export class ChaosCluster {
  readonly #options: ChaosClusterOptions;
  readonly #workers: Worker[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #diskFaultFile: string;
  readonly steps: SeenStep[] = [];
  #port = 0;
  #coordinator: ChildProcess | undefined;
  #runFolder: string | undefined;
  #tail: JournalTail | undefined;
  #closing = false;
  #futileStarts = 0;
  #coordinatorStarts = 0;
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};
  /** Settles when the run is over. */
  readonly done: Promise<void>;
  readonly #killAll = (): void => this.#signalAll('SIGKILL');

  constructor(options: ChaosClusterOptions) {
    this.#options = options;
    this.#diskFaultFile = join(options.folder, 'disk-faults.json');
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.done.catch(() => {});
  }

  /** Folder of the run; undefined before it exists. */
  get runFolder(): string | undefined {
    return this.#runFolder;
  }

  /** Starts of the coordinator after the first. */
  get coordinatorRestarts(): number {
    return this.#coordinatorStarts - 1;
  }

  async start(): Promise<void> {
    const { folder, config, workers } = this.#options;
    await mkdir(join(folder, 'logs'), { recursive: true });
    this.#port = await freePort();
    const own: Config = {
      ...config,
      runsFolder: join(folder, 'runs'),
      cluster: { ...config.cluster, host: '127.0.0.1', port: this.#port, httpPort: 0 },
    };
    await writeFile(join(folder, 'config.yaml'), stringify(own));
    process.once('exit', this.#killAll);
    this.#startCoordinator();
    for (let number = 1; number <= workers; number++) {
      const worker: Worker = { number, gate: await TcpGate.open(this.#port), child: undefined };
      this.#workers.push(worker);
      this.#startWorker(worker);
    }
    this.#watch();
  }

  /**
   * Does something bad; what lasts is undone by itself.
   * @returns false when there was nothing to hit: the process that it was meant for was not running
   */
  apply({ kind, worker: number, seconds }: Fault): boolean {
    if (kind === 'kill-coordinator') return this.#coordinator?.kill('SIGKILL') ?? false;
    if (kind === 'slow-disk') return this.#disturbDisk({ delayMs: DISK_DELAY_MS }, seconds);
    if (kind === 'full-disk') return this.#disturbDisk({ full: true }, seconds);
    const worker = this.#workers[(number ?? 0) - 1];
    if (worker === undefined) throw new DeepDefenseError('INTERNAL', { what: `a fault "${kind}" for no worker`, got: String(number) });
    const { child, gate } = worker;
    switch (kind) {
      case 'kill':
        return child?.kill('SIGKILL') ?? false;
      case 'freeze':
        this.#after(seconds * 1000, () => child?.kill('SIGCONT'));
        return child?.kill('SIGSTOP') ?? false;
      case 'disconnect':
        return gate.cut();
      case 'delay':
        gate.delay(NETWORK_DELAY_MS);
        this.#after(seconds * 1000, () => gate.delay(0));
        return true;
      case 'partition':
        gate.partition();
        this.#after(seconds * 1000, () => gate.heal());
        return true;
      default:
        return kind satisfies never;
    }
  }

  /** Ends all processes and connections. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#signalAll('SIGCONT');
    this.#signalAll('SIGKILL');
    const children = [this.#coordinator, ...this.#workers.map(({ child }) => child)];
    await Promise.all(children.map((child) => ended(child)));
    for (const { gate } of this.#workers) gate.close();
    process.removeListener('exit', this.#killAll);
  }

  #startCoordinator(): void {
    const { folder } = this.#options;
    this.#coordinatorStarts += 1;
    const args =
      this.#runFolder === undefined
        ? ['coordinator', '-c', join(folder, 'config.yaml')]
        : ['coordinator', '--resume', this.#runFolder, '-c', join(folder, 'config.yaml')];
    const { length } = this.steps;
    const child = this.#spawn([...args, '--json'], 'coordinator', { DEEPDEFENSE_DISK_FAULTS: this.#diskFaultFile });
    this.#coordinator = child;
    child.once('exit', (code) => {
      if (this.#closing) return;
      if (code === 0) return this.#resolve();
      this.#futileStarts = this.steps.length > length ? 0 : this.#futileStarts + 1;
      if (this.#futileStarts >= MOST_FUTILE_STARTS) {
        return this.#reject(
          new DeepDefenseError('WORKERS_LOST', {
            what: `the coordinator ended ${MOST_FUTILE_STARTS} times without committing a step`,
            got: `exit code ${code}`,
            todo: `see ${join(folder, 'logs', 'coordinator.log')}`,
          }),
        );
      }
      // A full disk would end it at once again.
      this.#after(this.#futileStarts === 0 ? 0 : 200, () => void this.#findRunFolder().then(() => this.#startCoordinator()));
    });
  }

  #startWorker(worker: Worker): void {
    if (this.#closing) return;
    const child = this.#spawn(
      ['worker', '--coordinator', `127.0.0.1:${worker.gate.port}`, '--stop-with-parent', ...this.#dataArguments()],
      `worker-${worker.number}`,
    );
    worker.child = child;
    child.once('exit', () => this.#after(WORKER_RESTART_MS, () => this.#startWorker(worker)));
  }

  #dataArguments(): string[] {
    const { path } = this.#options.config.data;
    return path === undefined ? [] : ['--data', path];
  }

  #spawn(args: readonly string[], name: string, env: Readonly<Record<string, string>> = {}): ChildProcess {
    const log = openSync(join(this.#options.folder, 'logs', `${name}.log`), 'a');
    const main = fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url));
    const child = spawn(process.execPath, [...process.execArgv, main, ...args], {
      stdio: ['pipe', log, log],
      detached: true,
      env: { ...process.env, ...env },
    });
    closeSync(log);
    child.stdin?.on('error', () => {});
    return child;
  }

  #watch(): void {
    this.#after(POLL_MS, () => {
      void this.#look().then(() => this.#watch(), this.#reject);
    });
  }

  async #look(): Promise<void> {
    await this.#findRunFolder();
    const events = (await this.#tail?.read()) ?? [];
    const atMs = performance.now();
    const { batchSize } = this.#options.config.train;
    for (const event of events)
      if (event.type === 'step-committed') this.steps.push({ committed: event.step + event.samples / batchSize, atMs });
  }

  async #findRunFolder(): Promise<void> {
    if (this.#runFolder !== undefined) return;
    const runs = join(this.#options.folder, 'runs');
    for (const name of await readdir(runs).catch(() => [])) {
      const journal = join(runs, name, 'journal.jsonl');
      // Killed before its first record, a run has nothing to go on with: the next start makes another.
      if (!(await readFile(journal, 'utf8').catch(() => '')).includes('\n')) continue;
      this.#runFolder = join(runs, name);
      this.#tail = new JournalTail(journal);
      return;
    }
  }

  #disturbDisk(faults: DiskFaults, seconds: number): true {
    void writeFile(this.#diskFaultFile, JSON.stringify(faults));
    this.#after(seconds * 1000, () => void writeFile(this.#diskFaultFile, '{}'));
    return true;
  }

  #after(milliseconds: number, then: () => void): void {
    if (this.#closing) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#closing) then();
    }, milliseconds);
    this.#timers.add(timer);
  }

  #signalAll(signal: NodeJS.Signals): void {
    for (const child of [this.#coordinator, ...this.#workers.map((worker) => worker.child)])
      if (child?.exitCode === null && child.signalCode === null) child.kill(signal);
  }
}

function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => void child.once('exit', () => resolve()));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
