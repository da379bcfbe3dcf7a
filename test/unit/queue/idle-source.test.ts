import { expect, test } from 'vitest';
import { endWhenIdle, MemoryQueue } from '../../../src/queue/index.ts';
import { VirtualClock } from '../coordinator/virtual-clock.ts';

const IDLE_MS = 5000;

function idleQueue() {
  const clock = new VirtualClock();
  const queue = new MemoryQueue({ clock, leaseMs: 60_000, retries: { errors: 0, preemptions: 0 }, firstEpoch: 1, onEnd: async () => {} });
  return { clock, queue, source: endWhenIdle(queue, IDLE_MS, clock) };
}

test('idle source: ends a claim that has waited for so long, and not before', async () => {
  const { clock, source } = idleQueue();
  let answer: unknown = 'none yet';
  void source.claim('w', new AbortController().signal).then((claim) => {
    answer = claim;
  });
  await clock.advance(IDLE_MS - 1);
  expect(answer).toBe('none yet');
  await clock.advance(1);
  expect(answer).toBeUndefined();
});

test('idle source: counts each wait from its own beginning, and gives tasks that come meanwhile', async () => {
  const { clock, queue, source } = idleQueue();
  for (const id of ['a', 'b']) {
    const waiting = source.claim('w', new AbortController().signal);
    await clock.advance(IDLE_MS - 1);
    await queue.publish({ id, payload: '{}' });
    const claim = await waiting;
    expect(claim?.task.id).toBe(id);
    await clock.advance(IDLE_MS);
    await claim?.commit('{}');
  }
});

test('idle source: ends at once when the worker is asked to leave', async () => {
  const { source } = idleQueue();
  const stop = new AbortController();
  const waiting = source.claim('w', stop.signal);
  stop.abort();
  expect(await waiting).toBeUndefined();
  expect(await source.claim('w', stop.signal)).toBeUndefined();
});
