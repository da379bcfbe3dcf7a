import { describe, expect, it } from 'vitest';
import { checkWorkerCount, describeGoodput } from '../../../src/cli/train-command.ts';

import { resolveConfig } from '../../../src/config/index.ts';

const none = { useful: 0, recomputed: 0, stragglers: 0, coordinator: 0, checkpointing: 0, evaluation: 0, preparing: 0, idle: 0 };

it('says where the time of the workers went, without what rounds to nothing', () => {
  const seconds = { ...none, useful: 83, coordinator: 8.6, evaluation: 8.1, idle: 0.3 };
  expect(describeGoodput({ seconds, usefulShare: 0.83 })).toBe('worker time 83 % useful, 9 % coordinator, 8 % evaluation');
});

it('says so when there was no worker', () => {
  expect(describeGoodput({ seconds: none, usefulShare: 0 })).toBe('worker time none');
});

describe('checkWorkerCount', () => {
  const cluster = (change: object = {}) => resolveConfig({ cluster: { minWorkers: 3, ...change } }).cluster;

  it('refuses fewer processes than steps wait for, where nobody else is expected', () => {
    expect(() => checkWorkerCount(cluster(), 2)).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        parts: expect.objectContaining({ got: '--workers 2', todo: expect.stringContaining('--workers 3') }),
      }),
    );
  });

  it.each([{ port: 50_051 }, { host: '0.0.0.0' }, { host: 'coordinator.local', port: 1 }])(
    'only warns where others may join: %j',
    (change) => {
      expect(checkWorkerCount(cluster(change), 2)).toContain('1 must join from elsewhere');
    },
  );

  it('has nothing to say of enough processes, or of none', () => {
    expect([3, 4, 0].map((workers) => checkWorkerCount(cluster(), workers))).toEqual([undefined, undefined, undefined]);
  });
});
