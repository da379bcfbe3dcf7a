import { describe, expect, it } from 'vitest';
import { EventChannel } from '../../../src/coordinator/event-channel.ts';

async function all<Event>(channel: EventChannel<Event>): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of channel) events.push(event);
  return events;
}

describe('event channel', () => {
  it('gives a late consumer what was pushed before, then ends', async () => {
    const channel = new EventChannel<number>();
    for (const event of [1, 2, 3]) channel.push(event);
    channel.close();
    channel.push(4);
    expect(await all(channel)).toEqual([1, 2, 3]);
  });

  it('wakes a consumer that waits', async () => {
    const channel = new EventChannel<number>();
    const events = all(channel);
    for (const event of [1, 2]) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      channel.push(event);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
    channel.close();
    expect(await events).toEqual([1, 2]);
  });

  it('drops the oldest events when nobody reads', async () => {
    const channel = new EventChannel<number>();
    for (let event = 0; event < 10_005; event++) channel.push(event);
    channel.close();
    const events = await all(channel);
    expect([events.length, events[0], events.at(-1)]).toEqual([10_000, 5, 10_004]);
  });
});
