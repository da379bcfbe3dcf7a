import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { startDelayProxy } from '../../../bench/delay-proxy.ts';

test('delay proxy: lets no more through than its rate', async () => {
  const received: number[] = [];
  const sink = createServer((socket) => socket.on('data', (data: Buffer) => received.push(data.length)));
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
  const proxy = await startDelayProxy((sink.address() as AddressInfo).port, 5, 1_000_000);
  try {
    const socket = connect(proxy.port, '127.0.0.1');
    await once(socket, 'connect');
    const startMs = performance.now();
    socket.write(Buffer.alloc(300_000));
    while (received.reduce((sum, bytes) => sum + bytes, 0) < 300_000) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(299);
    socket.destroy();
  } finally {
    proxy.close();
    sink.close();
  }
});

test('delay proxy: passes megabytes on unchanged, both ways, no byte sooner than the delay', async () => {
  const echo = createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  const proxy = await startDelayProxy((echo.address() as AddressInfo).port, 20);
  try {
    const socket = connect(proxy.port, '127.0.0.1');
    await once(socket, 'connect');
    const startMs = performance.now();
    let firstMs = Number.POSITIVE_INFINITY;
    const received: Buffer[] = [];
    socket.on('data', (data: Buffer) => {
      firstMs = Math.min(firstMs, performance.now() - startMs);
      received.push(data);
    });
    const sent = Buffer.from(Uint32Array.from({ length: 2_000_000 }, (_, i) => Math.imul(i, 2_654_435_761)).buffer);
    socket.end(sent);
    await once(socket, 'end');
    expect(firstMs).toBeGreaterThanOrEqual(39);
    expect(Buffer.concat(received).equals(sent)).toBe(true);
  } finally {
    proxy.close();
    echo.close();
  }
});
