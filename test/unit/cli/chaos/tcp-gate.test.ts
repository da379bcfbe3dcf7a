import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TcpGate } from '../../../../src/cli/chaos/tcp-gate.ts';

let echo: Server;
let gate: TcpGate;
beforeEach(async () => {
  echo = createServer((socket) => void socket.on('error', () => {}).pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  gate = await TcpGate.open((echo.address() as { port: number }).port);
});
afterEach(() => {
  gate.close();
  echo.close();
});

async function join(): Promise<Socket> {
  const socket = connect({ port: gate.port, host: '127.0.0.1' });
  await new Promise<void>((resolve) => void socket.once('connect', resolve));
  return socket;
}

const answer = (socket: Socket): Promise<string> => new Promise((resolve) => void socket.once('data', (data) => resolve(data.toString())));
const after = (milliseconds: number): Promise<'nothing'> => new Promise((resolve) => setTimeout(() => resolve('nothing'), milliseconds));

it('tcp gate: forwards, later when it is told to', async () => {
  const socket = await join();
  socket.write('a');
  expect(await answer(socket)).toBe('a');
  gate.delay(60);
  const startMs = performance.now();
  socket.write('b');
  expect(await answer(socket)).toBe('b');
  expect(performance.now() - startMs).toBeGreaterThan(110);
  socket.destroy();
});

it('tcp gate: keeps the order of bytes when a delay ends', async () => {
  const socket = await join();
  const received: string[] = [];
  socket.on('data', (data) => received.push(data.toString()));
  gate.delay(60);
  socket.write('a');
  await after(20);
  gate.delay(0);
  socket.write('b');
  await after(200);
  expect(received.join('')).toBe('ab');
  socket.destroy();
});

it('tcp gate: loses nothing in a partition that heals', async () => {
  const socket = await join();
  gate.partition();
  socket.write('c');
  const came = answer(socket);
  expect(await Promise.race([came, after(80)])).toBe('nothing');
  gate.heal();
  expect(await came).toBe('c');
  socket.destroy();
});

it('tcp gate: cuts connections and takes new ones', async () => {
  const socket = await join();
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  socket.on('error', () => {});
  gate.cut();
  await closed;
  const next = await join();
  next.write('d');
  expect(await answer(next)).toBe('d');
  next.destroy();
});
