/** @file Real worker and coordinator processes. Workers run the built command line; "npm test" builds first. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const COORDINATOR = fileURLToPath(new URL('./coordinator-process.ts', import.meta.url));

/** A child process with its output so far. */
export interface TestProcess {
  readonly child: ChildProcess;
  /** Standard output and error together. */
  readonly output: () => string;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals | null>;
}

function start(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): TestProcess {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const collect = (data: Buffer) => {
    output += data.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  return { child, output: () => output, exit: new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal))) };
}

/** A worker with a cache of its own and no dataset, so that it fetches the coordinator's. */
export function startWorkerProcess(address: string, cacheFolder: string): TestProcess {
  return start(process.execPath, [MAIN, 'worker', '--coordinator', address], { DEEPDEFENSE_CACHE: cacheFolder, DEEPDEFENSE_DATA: '' });
}

/** A coordinator of the tiny run in `runFolder`; goes on from its newest checkpoint where there is one. Prints the weights' hash at the end. */
export function startCoordinatorProcess(runFolder: string, port: number): TestProcess {
  return start(process.execPath, ['--import', 'tsx', COORDINATOR, runFolder, String(port)]);
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
