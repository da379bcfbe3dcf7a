import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { sendAll } from '../../../src/wire/index.ts';

/** A slow peer: takes one message per turn and counts how many wait. */
function slowStream(onWrite: (message: number) => void = () => {}) {
  const stream = new Writable({
    objectMode: true,
    highWaterMark: 4,
    write: (message: number, _encoding, done) => {
      onWrite(message);
      setImmediate(done);
    },
  });
  stream.on('error', () => {});
  return stream;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe('sendAll', () => {
  it('messages: keep their order and never pile up', async () => {
    const seen: number[] = [];
    let most = 0;
    const stream = slowStream((message) => {
      seen.push(message);
      most = Math.max(most, stream.writableLength);
    });
    await sendAll(stream, range(0, 100));
    await new Promise<void>((resolve) => stream.end(resolve));
    expect(seen).toEqual(range(0, 100));
    expect(most).toBeLessThanOrEqual(4);
  });

  it('messages: of two callers interleave, each in order, still bounded', async () => {
    const seen: number[] = [];
    let most = 0;
    const stream = slowStream((message) => {
      seen.push(message);
      most = Math.max(most, stream.writableLength);
    });
    await Promise.all([sendAll(stream, range(0, 50)), sendAll(stream, range(1000, 1050))]);
    await new Promise<void>((resolve) => stream.end(resolve));
    expect(seen.filter((value) => value < 1000)).toEqual(range(0, 50));
    expect(seen.filter((value) => value >= 1000)).toEqual(range(1000, 1050));
    expect(most).toBeLessThanOrEqual(5);
  });

  it('sender: fails with CONNECT_FAILED when the stream is destroyed while it waits', async () => {
    const stream = new Writable({ objectMode: true, highWaterMark: 2, write: () => {} });
    const sending = sendAll(stream, range(0, 10));
    setImmediate(() => stream.destroy());
    await expect(sending).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    await expect(sendAll(stream, [1])).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    expect(stream.listenerCount('drain') + stream.listenerCount('close')).toBe(0);
  });

  it('sender: stops with the reason of its signal', async () => {
    const stream = new Writable({ objectMode: true, highWaterMark: 2, write: () => {} });
    const controller = new AbortController();
    const sending = sendAll(stream, range(0, 10), controller.signal);
    controller.abort(new Error('enough'));
    await expect(sending).rejects.toThrow('enough');
  });
});
