/** @file A coordinator in a process of its own, and what a process uses. Linux only (/proc). */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeepDefenseError } from '../src/core/index.ts';

/** Clock ticks of /proc a second; fixed on Linux for programs. */
const TICKS_PER_SECOND = 100;
/** A phase that takes longer has failed. */
const PATIENCE_MS = 300_000;

/** Processor time and memory of a process, from /proc. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly residentMiB: number;
  readonly peakMiB: number;
}

export function usageOf(pid: number): Usage {
  // The name in parentheses may hold anything; utime and stime are fields 14 and 15.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024;
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    residentMiB: mebibytes('VmRSS'),
    peakMiB: mebibytes('VmHWM'),
  };
}

/** A coordinator process that listens. */
export class CoordinatorProcess {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  #stderr = '';
  #onOutput: () => void = () => {};

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr?.on('data', (data: Buffer) => {
      this.#stderr = (this.#stderr + data.toString('utf8')).slice(-20_000);
      this.#onOutput();
    });
    this.exit = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', resolve);
    });
    // Whoever waits for the end hears of the error.
    this.exit.catch(() => {});
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** The last of what it said. */
  get lastWords(): string {
    return this.#stderr.trim().split('\n').slice(-8).join('\n');
  }

  /** Waits for the line that names the ports. */
  async listening(): Promise<{ readonly address: string; readonly httpUrl: string }> {
    const said = new Promise<{ address: string; httpUrl: string }>((resolve) => {
      this.#onOutput = () => {
        const match = /coordinator on (\S+), metrics on (\S+)\/metrics/.exec(this.#stderr);
        if (match !== null) resolve({ address: match[1] as string, httpUrl: match[2] as string });
      };
    });
    const ended = this.exit.then((code) => {
      throw new DeepDefenseError('INTERNAL', { what: `the coordinator ended with exit code ${code}`, got: this.lastWords });
    });
    return Promise.race([said, ended]);
  }
}

/** Waits until the coordinator says that so many workers are ready. */
export async function untilReady(httpUrl: string, workers: number): Promise<void> {
  for (const giveUpAtMs = performance.now() + PATIENCE_MS; performance.now() < giveUpAtMs; await sleep(20)) {
    const text = await fetch(`${httpUrl}/readyz`).then(
      (response) => response.text(),
      () => '',
    ); // A busy machine may refuse one.
    if (Number(/(\d+) workers are ready/.exec(text)?.[1] ?? 0) >= workers) return;
  }
  throw new DeepDefenseError('WORKERS_LOST', { what: `fewer than ${workers} workers were ready after ${PATIENCE_MS} ms` });
}
