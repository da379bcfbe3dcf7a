import { describe, expect, it } from 'vitest';
import { parseAttackSpec } from '../../../src/config/index.ts';
import { AttackQueue, type EvaluationUnit } from '../../../src/coordinator/attack-queue.ts';
import { attackPassesOf, cutIntoUnits } from '../../../src/coordinator/attack-units.ts';
import type { Answer } from '../../../src/coordinator/job.ts';

const attacks = [parseAttackSpec('pgd')];
const passes = attackPassesOf({ networks: 2, attacks, radii: { linf: [0.1] }, transfer: true });
const units = passes
  .flatMap((pass) => cutIntoUnits(pass, { attacks, images: [4, 8, 15, 16, 23], batchSize: 3, isLast: false }))
  .map((unit): EvaluationUnit => ({ ...unit, kind: 'attack' }));

function queue() {
  const finished: unknown[] = [];
  const diagnosis: EvaluationUnit = { kind: 'diagnosis', network: 1, images: [4, 8], key: 'd' };
  const all = [diagnosis, ...units];
  return { finished, all, job: new AttackQueue({ units: all, onFinished: (_, found) => finished.push(found) }) };
}

const answer = (overrides: object = {}): Answer => ({
  kind: 'attack',
  message: {
    taskId: 1,
    correct: Buffer.from([1, 0, 1]),
    targetCorrect: Buffer.from([0, 0, 1]),
    distances: [],
    forwardQueries: 3,
    gradientQueries: 33,
    computeMs: 5,
    ...overrides,
  },
});

describe('attack queue', () => {
  it('asks for one unit at a time, as it is', () => {
    const { job, all } = queue();
    let id = 0;
    const grants = job.leases.grant([7, 8, 9], job.unitsPerWorker, 0);
    const messages = grants.flatMap((grant) => job.plan(grant, () => ++id)).map(({ message }) => message);
    expect(messages).toMatchObject([
      { body: 'diagnosisTask', diagnosisTask: { taskId: 1, network: 1, images: [4, 8] } },
      { attackTask: { taskId: 2, network: 0, attack: 'pgd', eps: 0.1, images: [4, 8, 15], targets: [1] } },
      { attackTask: { taskId: 3, network: 0, images: [16, 23] } },
    ]);
    expect(all).toHaveLength(5);
  });

  it('takes what fits, with null where no misclassified image was found', () => {
    const { job, finished } = queue();
    const none = [Number.NaN, Number.NaN, Number.NaN, Number.NaN, Number.NaN];
    job.accept({ first: 1, count: 1 }, answer({ distances: [0.1, 2, 3, 4, 5, ...none, 0, 0, 0, 0, 0] }));
    expect(finished).toEqual([
      {
        kind: 'attack',
        key: (units[0] as { key: string }).key,
        correct: '101',
        targetCorrect: ['001'],
        distances: [[0.1, 2, 3, 4, 5], null, [0, 0, 0, 0, 0]],
        queries: { forward: 3, gradient: 33 },
        computeMs: 5,
      },
    ]);
  });

  it.each([
    ['too few results', { correct: Buffer.from([1]) }],
    ['another value than 0 and 1', { correct: Buffer.from([1, 2, 0]) }],
    ['too few results of targets', { targetCorrect: Buffer.alloc(0) }],
    ['too few distances', { distances: [1, 2] }],
  ])('refuses %s, and takes nothing', (_, overrides) => {
    const { job, finished } = queue();
    expect(() => job.accept({ first: 1, count: 1 }, answer(overrides))).toThrow(expect.objectContaining({ code: 'PROTOCOL_BAD_MESSAGE' }));
    expect(finished).toEqual([]);
  });

  it('refuses an answer of another kind, and measurements that are no JSON', () => {
    const { job } = queue();
    expect(() => job.locate(answer(), [{ first: 0, count: 1 }], 1)).toThrow(expect.objectContaining({ code: 'PROTOCOL_BAD_MESSAGE' }));
    expect(() => job.accept({ first: 0, count: 1 }, { kind: 'diagnosis', message: { taskId: 1, json: '{', computeMs: 1 } })).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_BAD_MESSAGE' }),
    );
  });

  it('draining: leases nothing more, and is complete when the last holder has answered or is gone', () => {
    const { job } = queue();
    job.leases.grant([1, 2], 1, 0);
    job.leases.drain();
    expect(job.leases.grant([3], 1, 1)).toEqual([]);
    expect(job.leases.complete).toBe(false);
    job.leases.settle({ first: 0, count: 1 }, 1);
    expect(job.leases.complete).toBe(false);
    job.leases.release(2);
    expect(job.leases.complete).toBe(true);
  });
});
