/** @file Programs of a control plane, each with a log in one folder, ended together. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const VERSION = '1.34.4';
const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;

/** What scripts/kubernetes/build-control-plane.sh leaves. */
export const PROGRAMS = join(XDG_CACHE_HOME, `deepdefense/kubernetes-${VERSION}`);

/** On a machine that has other things to do. */
const START_MS = 180_000;
const AGAIN_MS = 500;

/** Running programs, and a temporary folder for what they keep. Nothing of it outlives this process. */
export class Programs {
  readonly folder: string;
  readonly #children: ChildProcess[] = [];
  readonly #onExit = () => this.#remove();

  private constructor(folder: string) {
    this.folder = folder;
    process.once('exit', this.#onExit);
  }

  static async create(): Promise<Programs> {
    return new Programs(await mkdtemp(join(tmpdir(), 'control-plane-')));
  }

  /**
   * Starts a program, and waits until it is up.
   * @param name among PROGRAMS
   * @param env beside this process' own
   * @throws Error with the end of its log, when it ends or doesn't come up
   */
  async start(name: string, args: readonly string[], isUp: () => Promise<boolean>, env: NodeJS.ProcessEnv = {}): Promise<void> {
    const logFile = join(this.folder, `${name}.log`);
    const log = openSync(logFile, 'w');
    const child = spawn(join(PROGRAMS, name), args, { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
    closeSync(log);
    this.#children.push(child);
    let failure: Error | undefined;
    child.once('error', (error) => (failure = error));
    const untilMs = performance.now() + START_MS;
    while (!(await isUp())) {
      if (failure !== undefined) throw new Error(`${failure.message}; run scripts/kubernetes/build-control-plane.sh`);
      if (child.exitCode !== null || performance.now() > untilMs)
        throw new Error(`${name} doesn't come up:\n${(await readFile(logFile, 'utf8')).slice(-3000)}`);
      await sleep(AGAIN_MS);
    }
  }

  /** Copies what they said to another folder. */
  async keepLogs(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    for (const name of await readdir(this.folder)) if (name.endsWith('.log')) await copyFile(join(this.folder, name), join(folder, name));
  }

  /** Ends all of them, and removes the folder. */
  async stop(): Promise<void> {
    const alive = this.#children.filter(({ pid, exitCode, signalCode }) => pid !== undefined && exitCode === null && signalCode === null);
    const ended = alive.map((child) => once(child, 'exit'));
    for (const child of alive) child.kill('SIGKILL');
    await Promise.all(ended);
    process.off('exit', this.#onExit);
    this.#remove();
  }

  /** Nothing in the folder is worth an orderly end. */
  #remove(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}
