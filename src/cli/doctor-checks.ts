/** @file The checks of `doctor`: each says what it found, and whether that keeps deepdefense from working. */
import { createServer } from 'node:net';
import { existsSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { missingTensorPackage } from './tensor-packages.ts';
import { EXIT_CODES, type ExitName, isDeepDefenseError, PACKAGE_VERSION, PROTOCOL_VERSION } from '../core/index.ts';

/** What one check found. */
export interface CheckResult {
  readonly name: string;
  /** `ok`; `info` = nothing to judge; `warning` = works, but not everything will; `failed` = deepdefense can't work here. */
  readonly state: 'ok' | 'info' | 'warning' | 'failed';
  readonly detail: string;
  /** Exit code of `doctor` when this check failed. */
  readonly exitCode?: number;
}

/** A named check; an error that it throws is a failure with that error's exit code. */
export interface Check {
  readonly name: string;
  /** Exit code for errors that carry none. */
  readonly exit: ExitName;
  run(): Promise<Omit<CheckResult, 'name'>>;
}

/** Runs a check; never throws. */
export async function runCheck({ name, exit, run }: Check): Promise<CheckResult> {
  try {
    const result = await run();
    return { name, ...result, ...(result.state === 'failed' ? { exitCode: result.exitCode ?? EXIT_CODES[exit] } : {}) };
  } catch (thrown) {
    const error = missingTensorPackage(thrown) ?? thrown;
    const detail = error instanceof Error ? error.message : String(error);
    return { name, state: 'failed', detail, exitCode: isDeepDefenseError(error) ? error.exitCode : EXIT_CODES[exit] };
  }
}

export const versionsCheck: Check = {
  name: 'versions',
  exit: 'INTERNAL',
  async run() {
    const packages = ['@tensorflow/tfjs', 'onnxruntime-node', '@grpc/grpc-js'].map(
      (name) => `${name} ${packageVersion(name) ?? 'missing'}`,
    );
    return {
      state: 'info',
      detail: `deepdefense ${PACKAGE_VERSION} (protocol ${PROTOCOL_VERSION}), Node.js ${process.versions.node}, ${process.platform}-${process.arch}, ${packages.join(', ')}`,
    };
  },
};

export const machineCheck: Check = {
  name: 'machine',
  exit: 'INTERNAL',
  async run() {
    const gibibytes = (totalmem() / 2 ** 30).toFixed(1);
    return {
      state: 'info',
      detail: `${availableParallelism()} usable cores, ${gibibytes} GiB memory, ${cpus()[0]?.model.trim() ?? 'unknown processor'}`,
    };
  },
};

/** Version of an installed package, read from its package.json; undefined when it isn't installed. */
export function packageVersion(name: string): string | undefined {
  const require = createRequire(import.meta.url);
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return (require(`${folder}/${name}/package.json`) as { version: string }).version;
    } catch {
      // Not in this folder; the next one may have it.
    }
  }
  return undefined;
}

export function runsFolderCheck(folder: string): Check {
  return {
    name: 'runs folder',
    exit: 'STORAGE',
    async run() {
      const path = resolve(folder);
      let existing = path;
      while (!existsSync(existing)) existing = dirname(existing);
      await access(existing, constants.W_OK);
      return { state: 'ok', detail: existing === path ? `${path} is writable` : `${path} can be made` };
    },
  };
}

/** Ports that examples/ use; a taken one matters only to who wants to use that example. */
const EXAMPLE_PORTS = [50051, 9464];

export const portsCheck: Check = {
  name: 'ports',
  exit: 'NETWORK',
  async run() {
    const any = await tryPort(0);
    if (any !== undefined) return { state: 'failed', detail: `can't listen on 127.0.0.1: ${any}` };
    const taken: string[] = [];
    for (const port of EXAMPLE_PORTS) {
      const problem = await tryPort(port);
      if (problem !== undefined) taken.push(`${port} (${problem})`);
    }
    if (taken.length > 0)
      return { state: 'warning', detail: `127.0.0.1 has free ports, but these of the examples are not: ${taken.join(', ')}` };
    return { state: 'ok', detail: `127.0.0.1 has free ports; ${EXAMPLE_PORTS.join(' and ')} are free` };
  },
};

/** The reason why the port can't be listened on; undefined when it can. */
function tryPort(port: number): Promise<string | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    server.listen(port, '127.0.0.1', () => server.close(() => done(undefined)));
  });
}
