/** @file A real nats-server with JetStream on a free loopback port, for tests that end it in the middle of things. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface NatsServerOptions {
  /** Default true. */
  readonly jetStream?: boolean;
  /** Lines of the server's configuration file. */
  readonly config?: string;
  /** A configuration file of its own, in place of the above; addresses are those of this machine. */
  readonly file?: string;
  /** Variables for it. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One server and its store; the port stays the same over restarts. */
export interface NatsServer {
  /** nats://127.0.0.1:PORT */
  readonly url: string;
  readonly port: number;
  /** Of the monitoring of a server with a file of its own. */
  readonly httpPort: number;
  /** Ends it as a crash does; the store stays. */
  kill(): Promise<void>;
  /** Ends it in order; the store stays. */
  stop(): Promise<void>;
  /** Has it read its configuration and certificates again. */
  reload(): void;
  /** Stops its process where it is, and lets it go on. */
  freeze(): void;
  thaw(): void;
  /** Starts it again on the same port and store. */
  restart(): Promise<void>;
  /** Ends it and removes the store. */
  close(): Promise<void>;
}

const START_MS = 10_000;

/** Path of the binary; undefined where there is none. */
export const NATS_SERVER: string | undefined = findServer();

/** Why tests are skipped, for the name of a suite; empty where they run. */
export const NATS_SKIPPED = NATS_SERVER === undefined ? ' (skipped: no nats-server; run scripts/get-nats-server.sh)' : '';

function findServer(): string | undefined {
  const { DEEPDEFENSE_NATS_SERVER, XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  const unpacked = join(XDG_CACHE_HOME, 'deepdefense/nats-server/usr/sbin/nats-server');
  const candidates = DEEPDEFENSE_NATS_SERVER === undefined ? ['nats-server', unpacked] : [DEEPDEFENSE_NATS_SERVER];
  return candidates.find((path) => {
    try {
      execFileSync(path, ['--version'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

/** Starts a server; it answers when this resolves. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const { jetStream = true, config = '', file: ownFile, env = {} } = options;
  const folder = await mkdtemp(join(tmpdir(), 'nats-'));
  const [port, httpPort] = [await freePort(), await freePort()];
  const file = join(folder, 'server.conf');
  const store = jetStream ? `jetstream { store_dir: "${join(folder, 'store')}", max_memory_store: 16MB, max_file_store: 256MB }` : '';
  await writeFile(file, `listen: "127.0.0.1:${port}"\n${store}\n${config}\n`);
  const command = ownFile === undefined ? ['-c', file] : ['-c', ownFile, '-a', '127.0.0.1', '-p', `${port}`, '-m', `${httpPort}`];
  const start = () => launch(command, port, { NATS_STORE: join(folder, 'store'), ...env });
  let child = await start();
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    httpPort,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    reload: () => void child.kill('SIGHUP'),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    restart: async () => {
      child = await start();
    },
    close: async () => {
      await end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function launch(command: readonly string[], port: number, env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  if (NATS_SERVER === undefined) throw new Error('no nats-server; run scripts/get-nats-server.sh');
  const child = spawn(NATS_SERVER, command, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } });
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString('utf8')).slice(-10_000);
  });
  const untilMs = performance.now() + START_MS;
  while (!log.includes('Server is ready') || !(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`nats-server ended:\n${log}`);
    if (performance.now() > untilMs) {
      child.kill('SIGKILL');
      throw new Error(`nats-server doesn't answer:\n${log}`);
    }
    await sleep(20);
  }
  return child;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('data', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
