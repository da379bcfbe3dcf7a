/** @file The built command line, which some benchmarks run as users do. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DeepDefenseError } from '../src/core/index.ts';

/** Its main file. */
export const CLI = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
/** For Node.js, as the installed command starts: see the first line of src/cli/main.ts. */
export const NODE_ARGS = ['--v8-pool-size=0'] as const;

/** @throws DeepDefenseError USAGE when there is no build. */
export function requireBuild(): void {
  if (existsSync(CLI)) return;
  throw new DeepDefenseError('USAGE', { what: `no built command line at "${CLI}"`, todo: 'run `npm run build` first' });
}

/**
 * Runs a command to its end.
 * @param children gets the process, for a caller that may have to end it
 * @returns its stdout
 * @throws DeepDefenseError INTERNAL with the last of its stderr when it fails
 */
export function runCommand(args: readonly string[], children: ChildProcess[] = []): Promise<string> {
  const child = spawn(process.execPath, [...NODE_ARGS, CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString('utf8')));
  child.stderr.on('data', (data: Buffer) => (stderr = (stderr + data.toString('utf8')).slice(-20_000)));
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const got = stderr.trim().split('\n').slice(-8).join('\n');
      if (code === 0) resolve(stdout);
      else reject(new DeepDefenseError('INTERNAL', { what: `deepdefense ${args[0]} ended with exit code ${code}`, got }));
    });
  });
  // Whoever waits for the end hears of the error, and may begin to wait after it.
  ended.catch(() => {});
  return ended;
}
