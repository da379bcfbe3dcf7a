/** @file The processes that hold workers without computation, see swarm-workers.ts. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DeepDefenseError } from '../src/core/index.ts';
import type { SwarmCounts, SwarmOrder, SwarmReport } from './swarm-workers.ts';

/** The processes that hold the workers. */
export class Swarm {
  readonly #children: ChildProcess[] = [];
  readonly #sizes: number[] = [];
  readonly #counts: Promise<SwarmCounts>[] = [];
  readonly #onStep: (step: number, atMs: number) => void;
  /** Rejects when a worker is refused, or with what {@link fail} was told. */
  readonly failed: Promise<never>;
  #fail: (error: unknown) => void = () => {};

  constructor(onStep: (step: number, atMs: number) => void) {
    this.#onStep = onStep;
    this.failed = new Promise((_resolve, reject) => (this.#fail = reject));
    // Whoever waits hears of it.
    this.failed.catch(() => {});
  }

  fail(error: unknown): void {
    this.#fail(error);
  }

  /** Of all workers. */
  async end(): Promise<SwarmCounts> {
    for (const child of this.#children) child.send({ kind: 'end' } satisfies SwarmOrder);
    const all = await Promise.race([Promise.all(this.#counts), this.failed]);
    const sum = (key: keyof SwarmCounts): number => all.reduce((total, counts) => total + counts[key], 0);
    return { tasks: sum('tasks'), drops: sum('drops'), bytesUp: sum('bytesUp'), bytesDown: sum('bytesDown') };
  }

  /**
   * Starts the processes; nobody joins yet.
   * @param elements of the vector
   * @param certificates folder of the workers' certificate; empty = plain text
   */
  async start(address: string, workers: number, elements: number, processes: number, certificates = ''): Promise<void> {
    const script = fileURLToPath(new URL('swarm-workers.ts', import.meta.url));
    const loaded: Promise<void>[] = [];
    for (let index = 0, first = 0; index < processes; index++) {
      const size = Math.floor(((index + 1) * workers) / processes) - first;
      const child = fork(script, [address, first, size, elements, certificates].map(String), {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      this.#children.push(child);
      this.#sizes.push(size);
      loaded.push(new Promise((resolve) => this.#listen(child, resolve)));
      first += size;
    }
    await Promise.all(loaded);
  }

  #listen(child: ChildProcess, onLoaded: () => void): void {
    const counts = new Promise<SwarmCounts>((resolve) =>
      child.on('message', (message) => {
        const report = message as SwarmReport;
        switch (report.kind) {
          case 'loaded':
            return onLoaded();
          case 'step':
            return this.#onStep(report.step, report.atMs);
          case 'ended':
            return resolve(report.counts);
          case 'refused':
            return this.fail(new DeepDefenseError('WORKERS_LOST', { what: `worker ${report.worker} was refused: ${report.reason}` }));
          default:
            return report satisfies never;
        }
      }),
    );
    this.#counts.push(counts);
  }

  /** All workers join, but for one. */
  joinAllButOne(): void {
    for (const [index, child] of this.#children.entries())
      child.send({ kind: 'join', workers: (this.#sizes[index] as number) - (index === 0 ? 1 : 0) } satisfies SwarmOrder);
  }

  joinLast(): void {
    this.#children[0]?.send({ kind: 'join', workers: 1 } satisfies SwarmOrder);
  }

  close(): void {
    for (const child of this.#children) child.kill();
  }
}
