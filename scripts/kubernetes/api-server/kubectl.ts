/** @file Runs kubectl as one user, and keeps what it says. */
import { spawn } from 'node:child_process';

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** kubectl on PATH, with a kubeconfig and one of its contexts. */
export class Kubectl {
  readonly #scope: readonly string[];

  constructor(kubeconfig: string, context: string) {
    this.#scope = ['--kubeconfig', kubeconfig, '--context', context];
  }

  run(...args: readonly string[]): Promise<Answer> {
    return runProgram('kubectl', [...this.#scope, ...args]);
  }

  /** Hands it a manifest, as JSON. */
  send(manifest: unknown, ...args: readonly string[]): Promise<Answer> {
    return runProgram('kubectl', [...this.#scope, ...args], { input: JSON.stringify(manifest) });
  }

  /** @returns what `get` finds. @throws Error when it is refused */
  async get<T>(...args: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run('get', ...args, '--output', 'json');
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as T;
  }
}

/** Runs a program to its end. @throws Error when it can't be started */
export function runProgram(
  program: string,
  args: readonly string[],
  { input = '', env = {}, cwd }: { readonly input?: string; readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'pipe', env: { ...process.env, ...env }, cwd });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin.on('error', () => {}); // It ended without reading; its exit code says why.
    child.stdin.end(input);
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, stdout, stderr }));
  });
}
