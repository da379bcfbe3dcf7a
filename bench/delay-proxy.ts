/**
 * @file A TCP proxy that holds every byte back for a while in each direction, as a long or a narrow way would. As a program it serves one port until
 * its parent goes away: a process of its own, so that its work isn't counted as the server's.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { DeepDefenseError } from '../src/core/index.ts';

/** Bytes on the way per direction at which the sender is held up: 256 MiB per 5 ms, far above any loopback. */
const MOST_BYTES = 256 * 1024 * 1024;

export interface DelayProxy {
  readonly port: number;
  close(): void;
}

/**
 * Forwards connections on a free loopback port to `targetPort`, each byte `delayMs` later in either direction.
 * @param bytesPerSecond of each connection and direction
 */
export async function startDelayProxy(targetPort: number, delayMs: number, bytesPerSecond = Number.POSITIVE_INFINITY): Promise<DelayProxy> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    const far = connect({ port: targetPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {
        near.destroy();
        far.destroy();
      });
      socket.on('close', () => sockets.delete(socket));
    }
    forward(near, far, delayMs, bytesPerSecond);
    forward(far, near, delayMs, bytesPerSecond);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** The same in a process of its own, which is added to `children`. @returns its port */
export async function forkDelayProxy(
  children: ChildProcess[],
  targetPort: number,
  delayMs: number,
  bytesPerSecond = Number.POSITIVE_INFINITY,
): Promise<number> {
  const args = [targetPort, delayMs, bytesPerSecond].map(String);
  const child = fork(fileURLToPath(import.meta.url), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve((message as { port: number }).port));
    child.once('exit', (code) => reject(new DeepDefenseError('INTERNAL', { what: `the delay proxy ended with exit code ${code}` })));
  });
}

function forward(from: Socket, to: Socket, delayMs: number, bytesPerSecond: number): void {
  /** An empty buffer stands for the end. */
  const waiting: { readonly dueMs: number; readonly data: Buffer }[] = [];
  let bytes = 0;
  /** When the way is free again. */
  let freeMs = 0;
  let timer: NodeJS.Timeout | undefined;
  const deliver = (): void => {
    timer = undefined;
    const nowMs = performance.now();
    while (waiting[0] !== undefined && waiting[0].dueMs <= nowMs) {
      const { data } = waiting.shift() as { data: Buffer };
      bytes -= data.length;
      if (to.destroyed) continue;
      if (data.length === 0) to.end();
      else to.write(data);
    }
    if (bytes < MOST_BYTES && from.isPaused()) from.resume();
    if (waiting[0] !== undefined) timer = setTimeout(deliver, Math.max(0, waiting[0].dueMs - nowMs));
  };
  const take = (data: Buffer): void => {
    freeMs = Math.max(freeMs, performance.now()) + (data.length / bytesPerSecond) * 1000;
    waiting.push({ dueMs: freeMs + delayMs, data });
    bytes += data.length;
    if (bytes >= MOST_BYTES) from.pause();
    timer ??= setTimeout(deliver, freeMs - performance.now() + delayMs);
  };
  from.on('data', take);
  from.on('end', () => take(Buffer.alloc(0)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [targetPort, delayMs, bytesPerSecond] = process.argv.slice(2).map(Number) as [number, number, number?];
  const { port } = await startDelayProxy(targetPort, delayMs, bytesPerSecond);
  process.on('disconnect', () => process.exit());
  process.send?.({ port });
}
