import { describe, expect, it } from 'vitest';
import { EvaluationQueue } from '../../../src/coordinator/evaluation-queue.ts';

const queue = (samples: number, batchSize: number) =>
  new EvaluationQueue({ attack: 'pgd', epsLinf: 0.1, samples, batchSize, parameterVersion: 7 });

describe('evaluation queue', () => {
  it.each([
    [10_000, 100, 600, 17],
    [1_000, 100, 100, 10],
    [50, 100, 100, 1],
    [100_000, 100, 1_000, 100],
  ])('cuts %i images in batches of %i into tasks of %i', (samples, batchSize, imagesPerTask, tasks) => {
    const { imagesPerTask: images, leases } = queue(samples, batchSize);
    expect([images, leases.units]).toEqual([imagesPerTask, tasks]);
  });

  it('asks for the images of a unit, the last one cut at the end', () => {
    const work = queue(250, 100);
    let id = 0;
    const grants = work.leases.grant([1, 2, 3], 1, 0);
    expect(grants.flatMap((grant) => work.plan(grant, () => ++id)).map(({ message }) => message)).toEqual([
      expect.objectContaining({ evaluationTask: { taskId: 1, parameterVersion: 7, attack: 'pgd', epsLinf: 0.1, first: 0, count: 100 } }),
      expect.objectContaining({ evaluationTask: { taskId: 2, parameterVersion: 7, attack: 'pgd', epsLinf: 0.1, first: 100, count: 100 } }),
      expect.objectContaining({ evaluationTask: { taskId: 3, parameterVersion: 7, attack: 'pgd', epsLinf: 0.1, first: 200, count: 50 } }),
    ]);
  });

  it('refuses answers of the wrong length or with values that are neither 0 nor 1', () => {
    const work = queue(20, 10);
    const accept = (correct: number[]) =>
      work.accept(
        { first: 0, count: 1 },
        { kind: 'evaluation', message: { taskId: 1, correct: Buffer.from(correct), lossSum: 0, computeMs: 0 } },
      );
    expect(() => accept([1, 1])).toThrow(expect.objectContaining({ code: 'PROTOCOL_BAD_MESSAGE' }));
    expect(() => accept(Array.from({ length: 10 }, () => 2))).toThrow(expect.objectContaining({ code: 'PROTOCOL_BAD_MESSAGE' }));
    expect(() => accept(Array.from({ length: 10 }, () => 1))).not.toThrow();
  });

  it('gives the same mean loss when answers come in another order', () => {
    const losses = [0.1, 0.2, 0.3].map((value) => value * 1e8);
    const run = (order: number[]) => {
      const work = queue(30, 10);
      for (const unit of order) {
        const message = { taskId: 1, correct: Buffer.alloc(10), lossSum: losses[unit] as number, computeMs: 0 };
        work.accept({ first: unit, count: 1 }, { kind: 'evaluation', message });
      }
      return work.meanLoss;
    };
    expect(run([2, 0, 1])).toBe(run([0, 1, 2]));
  });
});
