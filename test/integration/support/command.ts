/** @file Runs the built command line as a user does: a process of its own in an empty folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

/** A command under way. */
export interface RunningCommand {
  readonly child: ChildProcess;
  /** Standard error so far. */
  stderr(): string;
  /** Resolves when the text has come on standard error. */
  seen(text: string | RegExp): Promise<string>;
  readonly done: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

/** An empty folder to run commands in, with no data and no cache of the user's. */
export class CommandFolder {
  readonly path: string;
  readonly #children = new Set<ChildProcess>();

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<CommandFolder> {
    return new CommandFolder(await mkdtemp(join(tmpdir(), 'command-')));
  }

  start(...args: readonly string[]): RunningCommand {
    return this.startWith({}, args);
  }

  /** With these environment variables, too. */
  startWith(variables: Readonly<Record<string, string>>, args: readonly string[]): RunningCommand {
    const { DEEPDEFENSE_DATA: _, ...env } = process.env;
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: this.path,
      env: { ...env, DEEPDEFENSE_CACHE: join(this.path, 'cache'), ...variables },
    });
    this.#children.add(child);
    let stdout = '';
    let stderr = '';
    const waiting = new Set<() => void>();
    child.stdout.on('data', (data: Buffer) => {
      stdout += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
      for (const check of waiting) check();
    });
    const done = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
      child.once('close', (code) => {
        this.#children.delete(child);
        resolve({ code, stdout, stderr });
        for (const check of waiting) check();
      });
    });
    const seen = (text: string | RegExp): Promise<string> =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const match = typeof text === 'string' ? (stderr.includes(text) ? text : undefined) : text.exec(stderr)?.[0];
          if (match !== undefined) resolve(match);
          else if (!this.#children.has(child)) reject(new Error(`ended without "${String(text)}" on stderr:\n${stderr}\n${stdout}`));
          else return;
          waiting.delete(check);
        };
        waiting.add(check);
        check();
      });
    return { child, stderr: () => stderr, seen, done };
  }

  /** Runs to the end. */
  run(...args: readonly string[]): RunningCommand['done'] {
    return this.start(...args).done;
  }

  /** Ends what still runs and removes the folder. */
  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await rm(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
