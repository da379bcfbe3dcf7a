import { describe, expect, it } from 'vitest';
import { Goodput, noTime, type WorkerSeconds } from '../../../src/coordinator/goodput.ts';
import { earlierGoodput, goodputSoFar } from '../../../src/coordinator/goodput-history.ts';
import type { JournalEvent, JournalRecord } from '../../../src/journal/index.ts';

type Line = readonly [atSeconds: number, event: Partial<JournalEvent> & Pick<JournalEvent, 'type'>];

/** Sequence numbers of the records that were decoded. */
let decoded: number[];

/** Records at so many seconds after the epoch. */
function journal(...lines: readonly Line[]): JournalRecord[] {
  decoded = [];
  return lines.map(([atSeconds, event], index) => {
    const sequence = index + 1;
    const look = <Value>(value: Value): Value => {
      if (!decoded.includes(sequence)) decoded.push(sequence);
      return value;
    };
    return {
      sequence,
      hash: '',
      get at() {
        return look(new Date(atSeconds * 1000).toISOString());
      },
      get event() {
        return look(event as JournalEvent);
      },
    };
  });
}

const joined = (at: number): Line => [at, { type: 'worker-joined' }];
const step = (at: number, number: number, computeSeconds?: number): Line => [
  at,
  { type: 'step-committed', step: number, ...(computeSeconds !== undefined && { computeSeconds }) },
];
const checkpoint = (at: number, number: number, seconds: Partial<WorkerSeconds>, readyWorkers = 2): Line => [
  at,
  { type: 'checkpoint-written', step: number, goodput: { seconds, readyWorkers } },
];
const started: Line = [0, { type: 'run-started' }];

/** Classes that have any time, to the millisecond. */
function earlier(records: readonly JournalRecord[], fromStep: number, nowSeconds: number): Record<string, number> {
  const seconds = earlierGoodput(records, { fromStep, nowMs: nowSeconds * 1000, longestWaitMs: 60_000 });
  return Object.fromEntries(
    Object.entries(seconds).flatMap(([name, value]) => (value === 0 ? [] : [[name, Math.round(value * 1000) / 1000]])),
  );
}

describe('earlier goodput', () => {
  it('is nothing for a new run', () => {
    expect(earlierGoodput([], { fromStep: 0, nowMs: 5_000, longestWaitMs: 60_000 })).toEqual(noTime());
    expect(earlier(journal(started), 0, 100)).toEqual({});
  });

  it('is that of the last checkpoint, and of void steps as recomputed, kept ones as useful, and the wait for a coordinator', () => {
    const records = journal(
      started,
      joined(1),
      joined(2),
      step(9, 0, 7),
      checkpoint(10, 1, { useful: 7, coordinator: 1.5, preparing: 3 }),
      // 2 workers for 5 s compute 8 s.
      step(15, 1, 8),
      // 2 workers for 3 s, and 3 for 1 s, compute 4.5 s.
      joined(18),
      step(19, 2, 4.5),
    );
    // 3 workers wait for 6 s.
    expect(earlier(records, 1, 25)).toEqual({ useful: 7, recomputed: 12.5, coordinator: 1.5 + 2 + 4.5 + 18, preparing: 3 });
    // A checkpoint after step 1 was on disk, but not yet in the journal.
    expect(earlier(records, 2, 25)).toEqual({ useful: 15, recomputed: 4.5, coordinator: 26, preparing: 3 });
  });

  it('adds up to the time of the workers that were ready', () => {
    const records = journal(
      started,
      joined(2),
      joined(4),
      step(8, 0, 6),
      [10, { type: 'evaluation-finished', seconds: 1.5 }],
      [11, { type: 'worker-left' }],
      step(14, 1, 2.25),
    );
    // 2 s, 4 times 2 s, 2 times 2 s, 2 times 1 s, 3 s; then one waits for 4 s.
    const seconds = earlier(records, 0, 18);
    expect(seconds).toEqual({ recomputed: 8.25, evaluation: 3, coordinator: 2 + 8 + 4 + 2 + 3 - 11.25 + 4 });
  });

  it('counts the wait for a coordinator no longer than workers wait, and none after an end or where the clock was set back', () => {
    const crashed = journal(started, checkpoint(10, 1, { useful: 5 }, 3));
    expect(earlier(crashed, 1, 100_000)).toEqual({ useful: 5, coordinator: 180 });
    expect(earlier(crashed, 1, 3)).toEqual({ useful: 5 });
    const ended = journal(started, [
      20,
      { type: 'run-finished', steps: 1, goodput: { seconds: { useful: 5, idle: 0.5 }, readyWorkers: 0 } },
    ]);
    expect(earlier(ended, 1, 50)).toEqual({ useful: 5, idle: 0.5 });
  });

  it('goes on from a resume that was not followed by a checkpoint', () => {
    const records = journal(
      started,
      joined(1),
      checkpoint(10, 1, { useful: 7 }),
      step(12, 1, 3),
      [20, { type: 'run-resumed', fromStep: 1, goodput: { seconds: { useful: 7, recomputed: 3, coordinator: 9 }, readyWorkers: 0 } }],
      joined(22),
      step(24, 1, 1.5),
    );
    expect(earlier(records, 1, 25)).toEqual({ useful: 7, recomputed: 4.5, coordinator: 9 + 0.5 + 1 });
    expect(decoded.toSorted((a, b) => a - b)).toEqual([5, 6, 7]);
  });

  it('calls steps recomputed that counted before and are void now, since the newest checkpoint is lost', () => {
    const records = journal(
      started,
      step(1, 0, 1),
      step(2, 1, 2),
      // Void already: these are among the recomputed ones of the resume.
      step(3, 2, 4),
      step(4, 3, 8),
      [5, { type: 'run-resumed', fromStep: 2, goodput: { seconds: { useful: 3, recomputed: 12 }, readyWorkers: 0 } }],
      step(6, 2, 16),
      step(7, 3, 32),
      checkpoint(8, 4, { useful: 51, recomputed: 12 }, 0),
    );
    expect(earlier(records, 4, 8)).toEqual({ useful: 51, recomputed: 12 });
    expect(decoded).toEqual([9]);
    expect(earlier(records, 3, 8)).toEqual({ useful: 19, recomputed: 44 });
    expect(earlier(records, 1, 8)).toEqual({ useful: 1, recomputed: 62 });
    expect(earlier(records, 0, 8)).toEqual({ recomputed: 63 });
  });

  it('is nothing where an older version did not say, and looks no further', () => {
    expect(earlier(journal(started, joined(1), step(2, 0), joined(3)), 0, 10)).toEqual({});
    expect(decoded).toEqual([4, 3]);
    expect(earlier(journal(started, joined(1), [9, { type: 'checkpoint-written', step: 1 }], step(10, 1, 1)), 1, 10)).toEqual({});
  });
});

it('what a process records of its time is what the next one starts from', () => {
  const goodput = new Goodput({ ...noTime(), useful: 2, idle: 0.25 });
  goodput.turn(1, 'training', 0);
  goodput.answered(1, 1_500.4, true, 2_000);
  goodput.turn(1, 'checkpointing', 2_000);
  const record = goodputSoFar(goodput.report(3_000), 1);
  expect(record).toEqual({ readyWorkers: 1, seconds: { useful: 3.5, coordinator: 0.5, checkpointing: 1, idle: 0.25 } });
  const records = journal(started, [3, { type: 'checkpoint-written', step: 1, goodput: record }]);
  expect(earlier(records, 1, 3)).toEqual(record.seconds);
});
