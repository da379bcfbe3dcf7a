import { describe, expect, test } from 'vitest';
import { syntheticDataset } from '../../../src/data/index.ts';
import { TreeReducer } from '../../../src/wire/index.ts';
import { Computer } from '../../../src/worker/compute.ts';
import { sameBits } from '../../support/bits.ts';
import { smallConfig } from '../../support/configs.ts';
import { QUICK_ENGINE } from '../../support/engines.ts';
import { STRATEGY_ROWS } from '../../support/strategy-rows.ts';

const SHARDS = 4;
const dataset = syntheticDataset({ trainCount: 12, testCount: 4, seed: 2 });
const work = { step: 1, firstPosition: SHARDS, schedule: [{ learningRate: 0.1, gfaScale: 0.6 }] };

describe('world size', () => {
  test.each(STRATEGY_ROWS)('$title: one worker and two give the same bits, whoever answers first', async ({ input }) => {
    const config = smallConfig(QUICK_ENGINE, { ...input, seed: 9, train: { batchSize: SHARDS, shards: SHARDS } });
    const workers = await Promise.all([Computer.create(config, dataset), Computer.create(config, dataset)]);
    const [one, other] = workers;
    try {
      const parameters = one.initialParameters();
      for (const worker of workers) worker.setParameters(1, parameters.slice());
      const meanOf = async (blocks: readonly { readonly worker: Computer; readonly first: number; readonly count: number }[]) => {
        const metrics = one.metricNames.length;
        const reducer = new TreeReducer({ root: { first: 0, count: SHARDS }, length: parameters.length, metrics });
        for (const { worker, first, count } of blocks) {
          const { gradients, metricSums } = await worker.trainBlock(work, { first, count });
          reducer.add({ first, count }, gradients.slice(), metricSums);
        }
        return reducer.takeMean();
      };
      const alone = await meanOf([{ worker: one, first: 0, count: SHARDS }]);
      const together = await meanOf([
        { worker: other, first: 2, count: 2 },
        { worker: one, first: 1, count: 1 },
        { worker: other, first: 0, count: 1 },
      ]);
      expect(alone.gradients.some((value) => value !== 0)).toBe(true);
      expect(sameBits(together.gradients, alone.gradients)).toBe(true);
      expect([...together.metricSums]).toEqual([...alone.metricSums]);
    } finally {
      await Promise.all(workers.map((worker) => worker.dispose()));
    }
  });
});
