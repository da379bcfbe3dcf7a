import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../../src/config/index.ts';
import { checkTimeouts, createRunPlan } from '../../../src/coordinator/run-plan.ts';

const plan = (config: ConfigInput, samples: number) => createRunPlan(configSchema.parse(config), samples);
const stepsWhere = (total: number, fits: (step: number) => boolean) => Array.from({ length: total }, (_, i) => i + 1).filter(fits);

describe('run plan', () => {
  it('has ceil(epochs N / B) steps, and fewer when maxSteps says so', () => {
    expect(plan({ train: { epochs: 2, batchSize: 32, shards: 8 } }, 100).totalSteps).toBe(7);
    expect(plan({ train: { epochs: 0.5, batchSize: 32, shards: 8 } }, 100).totalSteps).toBe(2);
    expect(plan({ train: { epochs: 2, batchSize: 32, shards: 8, maxSteps: 5 } }, 100).totalSteps).toBe(5);
    expect(plan({ train: { epochs: 2, batchSize: 32, shards: 8 }, data: { trainSamples: 64 } }, 100).totalSteps).toBe(4);
    expect(plan({ train: { epochs: 1, batchSize: 32, shards: 8 }, data: { trainSamples: 640 } }, 100).samplesPerEpoch).toBe(100);
  });

  it('ends an epoch at the step that consumes its last sample', () => {
    // N = 100, B = 32: epochs end within steps 4 (128), 7 (224), 10 (320).
    const { endsEpoch, epochsAfter } = plan({ train: { epochs: 3, batchSize: 32, shards: 8 } }, 100);
    expect(stepsWhere(10, endsEpoch)).toEqual([4, 7, 10]);
    expect(epochsAfter(4)).toBe(1.28);
  });

  it('evaluates every so many epochs, but not after the last step, whose evaluation ends the run', () => {
    const every = (everyEpochs: number) => {
      const { evaluatesAfter, totalSteps } = plan({ train: { epochs: 3, batchSize: 50, shards: 5 }, evaluation: { everyEpochs } }, 100);
      return stepsWhere(totalSteps, evaluatesAfter);
    };
    expect(every(1)).toEqual([2, 4]);
    expect(every(2)).toEqual([4]);
    expect(every(0.5)).toEqual([1, 2, 3, 4, 5]);
    expect(every(10)).toEqual([]);
  });

  it('writes checkpoints every N steps, at epochs and at the end', () => {
    const { checkpointsAfter } = plan(
      { train: { epochs: 10, maxSteps: 11, batchSize: 32, shards: 8 }, checkpoint: { everySteps: 5 } },
      100,
    );
    expect(stepsWhere(11, checkpointsAfter)).toEqual([4, 5, 7, 10, 11]);
  });

  it('with local steps stops at synchronisations only, and does what fell due since the last one', () => {
    const local = plan(
      {
        train: { epochs: 10, maxSteps: 11, batchSize: 32, shards: 8 },
        sync: { everySteps: 4 },
        checkpoint: { everySteps: 7 },
        evaluation: { everyEpochs: 2 },
      },
      100,
    );
    const synchronisations: number[] = [];
    for (let step = 0; step < local.totalSteps; ) {
      step += local.stepsFrom(step);
      synchronisations.push(step);
    }
    expect(synchronisations).toEqual([4, 8, 11]);
    // Epochs end within steps 4 and 7 and 10, two of them within 7.
    expect(synchronisations.map(local.endsEpoch)).toEqual([true, true, true]);
    expect(synchronisations.map(local.evaluatesAfter)).toEqual([false, true, false]);
    const sparse = plan(
      { train: { epochs: 10, maxSteps: 12, batchSize: 8, shards: 8 }, sync: { everySteps: 4 }, checkpoint: { everySteps: 7 } },
      1000,
    );
    expect([4, 8, 12].map(sparse.checkpointsAfter)).toEqual([false, true, true]);
  });

  it('refuses timeouts out of order', () => {
    const cluster = configSchema.parse({}).cluster;
    expect(() => checkTimeouts(cluster)).not.toThrow();
    const disordered = expect.objectContaining({ code: 'CONFIG_TIMEOUT_ORDER' });
    expect(() => checkTimeouts({ ...cluster, heartbeatMs: cluster.leaseMs / 2 })).toThrow(disordered);
    expect(() => checkTimeouts({ ...cluster, stepDeadlineMs: cluster.leaseMs })).toThrow(disordered);
  });
});
