/** @file A coordinator in a process of its own, and what a process uses. Linux only (/proc). */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeepDefenseError } from '../src/core/index.ts';
import { CLI, NODE_ARGS } from './built-command.ts';
import type { BenchCertificates } from './certificates.ts';

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

export interface CoordinatorOptions {
  readonly runsFolder: string;
  /** Each gets one shard. */
  readonly workers: number;
  /** Default 1. */
  readonly samplesPerShard?: number;
  readonly steps: number;
  /** Further ones, KEY=VALUE. */
  readonly settings: readonly string[];
  /** Undefined = plain text. */
  readonly certificates: BenchCertificates | undefined;
  /** For Node.js. */
  readonly nodeArgs?: readonly string[];
}

/** A coordinator process of the built command line: cnn3 on synthetic data, evaluated at the end alone. */
export class CoordinatorProcess {
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;
  readonly #runsFolder: string;
  #stderr = '';
  #onOutput: () => void = () => {};

  constructor({ runsFolder, workers, samplesPerShard = 1, steps, settings, certificates, nodeArgs = [] }: CoordinatorOptions) {
    const config = [
      `runsFolder=${runsFolder}`,
      'data.source=synthetic',
      'data.testSamples=100',
      'model.name=cnn3',
      `train.shards=${workers}`,
      `train.batchSize=${workers * samplesPerShard}`,
      'train.epochs=1000000',
      `train.maxSteps=${steps}`,
      `cluster.minWorkers=${workers}`,
      'evaluation.everyEpochs=1000000',
      ...settings,
    ].flatMap((setting) => ['--set', setting]);
    const certs = certificates === undefined ? [] : ['--certs', certificates.coordinator];
    this.#runsFolder = runsFolder;
    this.#child = spawn(process.execPath, [...NODE_ARGS, ...nodeArgs, CLI, 'coordinator', ...certs, ...config], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child.stderr?.on('data', (data: Buffer) => {
      this.#stderr = (this.#stderr + data.toString('utf8')).slice(-20_000);
      this.#onOutput();
    });
    this.#exit = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', resolve);
    });
    // Whoever waits for the end hears of the error.
    this.#exit.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** There when it listens; where the folder for runs holds others, the newest. */
  get runFolder(): string {
    return join(this.#runsFolder, readdirSync(this.#runsFolder).sort().at(-1) as string);
  }

  /** Waits for the line that names the ports. */
  async listening(): Promise<{ readonly address: string; readonly httpUrl: string }> {
    const said = new Promise<{ address: string; httpUrl: string }>((resolve) => {
      this.#onOutput = () => {
        const match = /coordinator on (\S+), metrics on (\S+)\/metrics/.exec(this.#stderr);
        if (match !== null) resolve({ address: match[1] as string, httpUrl: match[2] as string });
      };
    });
    const ended = this.#exit.then((code) => {
      throw this.#failure(code);
    });
    return Promise.race([said, ended]);
  }

  /** Waits for the end of the run. @throws DeepDefenseError INTERNAL when the process fails */
  async ended(): Promise<void> {
    const code = await this.#exit;
    if (code !== 0) throw this.#failure(code);
  }

  /** Ends it where it still runs. */
  async close(): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
    await this.#exit.catch(() => {});
  }

  #failure(code: number | null): DeepDefenseError {
    const lastWords = this.#stderr.trim().split('\n').slice(-8).join('\n');
    return new DeepDefenseError('INTERNAL', { what: `the coordinator ended with exit code ${code}`, got: lastWords });
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
