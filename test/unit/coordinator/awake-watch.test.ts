import { beforeEach, describe, expect, it } from 'vitest';
import { AwakeWatch } from '../../../src/coordinator/awake-watch.ts';
import { VirtualClock } from './virtual-clock.ts';

let clock: VirtualClock;
let sleeps: number[];
let watch: AwakeWatch;

beforeEach(() => {
  clock = new VirtualClock();
  sleeps = [];
  watch = new AwakeWatch(clock, (ms) => sleeps.push(ms));
});

describe('awake watch', () => {
  it('tells of a sleep and its length, and of none while the process is awake', async () => {
    watch.start();
    await clock.advance(10_000);
    expect(sleeps).toEqual([]);
    clock.sleep(3_000);
    watch.look();
    expect(sleeps).toEqual([3_000]);
  });

  it('takes no time between two looks for sleep when it was asked before it began', async () => {
    watch.look();
    await clock.advance(10_000);
    watch.start();
    sleeps = [];
    await clock.advance(10_000);
    watch.look();
    expect(sleeps).toEqual([]);
  });
});
