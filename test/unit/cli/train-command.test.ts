import { expect, it } from 'vitest';
import { describeGoodput } from '../../../src/cli/train-command.ts';

const none = { useful: 0, recomputed: 0, stragglers: 0, coordinator: 0, checkpointing: 0, evaluation: 0, preparing: 0, idle: 0 };

it('says where the time of the workers went, without what rounds to nothing', () => {
  const seconds = { ...none, useful: 83, coordinator: 8.6, evaluation: 8.1, idle: 0.3 };
  expect(describeGoodput({ seconds, usefulShare: 0.83 })).toBe('worker time 83 % useful, 9 % coordinator, 8 % evaluation');
});

it('says so when there was no worker', () => {
  expect(describeGoodput({ seconds: none, usefulShare: 0 })).toBe('worker time none');
});
