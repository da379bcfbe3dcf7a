import { describe, expect, it } from 'vitest';
import { Backoff, sleep } from '../../../src/worker/backoff.ts';

describe('back-off', () => {
  it('doubles from 200 ms to 5 s and starts again after a reset', () => {
    const backoff = new Backoff(() => 1);
    expect(Array.from({ length: 7 }, () => backoff.nextMs())).toEqual([200, 400, 800, 1600, 3200, 5000, 5000]);
    backoff.reset();
    expect(backoff.nextMs()).toBe(200);
  });

  it('lies between half and the whole of the wait when chance is at its ends', () => {
    expect(new Backoff(() => 0).nextMs()).toBe(100);
    expect(new Backoff(() => 0.5).nextMs()).toBe(150);
  });

  it('sleeps no longer than to the abort', async () => {
    const abort = new AbortController();
    const start = performance.now();
    setTimeout(() => abort.abort(), 20);
    await sleep(60_000, abort.signal);
    await sleep(60_000, abort.signal);
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});
