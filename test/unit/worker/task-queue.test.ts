import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLogger, createMetrics } from '../../../src/telemetry/index.ts';
import type { ShardBlock, WorkerMessage } from '../../../src/wire/index.ts';
import type { ComputeClient } from '../../../src/worker/compute-client.ts';
import { type Task, TaskQueue } from '../../../src/worker/task-queue.ts';

/** A queue whose stream collects what is said, over a compute client that logs its calls. */
function setup(overrides: Partial<ComputeClient> = {}) {
  const said: WorkerMessage[] = [];
  const calls: string[] = [];
  const stream = new Writable({
    objectMode: true,
    write: (message: WorkerMessage, _encoding, done) => {
      said.push(message);
      done();
    },
  });
  const unused = () => Promise.reject(new Error('not used'));
  const compute: ComputeClient = {
    openData: unused,
    useRecords: unused,
    prepare: unused,
    initialParameters: async () => Float32Array.of(1, 2, 3),
    setParameters: async (version) => void calls.push(`set ${version}`),
    trainBlock: async ({ step, firstPosition, schedule }, { first, count }) => {
      calls.push(`train ${step} ${firstPosition} [${first},${count}] ${schedule[0]?.gfaScale}`);
      return { gradients: Float32Array.of(first, count), metricSums: Float64Array.of(0.25), computeMs: 5 };
    },
    evaluate: async (attack, epsLinf, first, count) => {
      calls.push(`evaluate ${attack} ${epsLinf} ${first} ${count}`);
      return { correct: Uint8Array.of(1, 0), lossSum: 0.75, computeMs: 6 };
    },
    prepareEvaluation: unused,
    attack: async ({ network, attack, images, targets }) => {
      calls.push(`attack ${network} ${attack} [${images.join()}] [${targets.join()}]`);
      return {
        correct: Uint8Array.of(1, 0),
        targetCorrect: Uint8Array.of(0, 1),
        distances: new Float64Array(0),
        queries: { forward: 2, gradient: 20 },
        computeMs: 7,
      };
    },
    diagnose: unused,
    dispose: async () => {},
    ...overrides,
  };
  const queue = new TaskQueue({
    stream,
    compute,
    precision: 'float32',
    shardSize: 4,
    metrics: createMetrics('worker', { processMetrics: false }),
    logger: createLogger({ level: 'silent' }),
    onBroken: (error) => calls.push(`broken ${String(error)}`),
  });
  const idle = async () => {
    do await new Promise((resolve) => setTimeout(resolve, 1));
    while (queue.currentTaskId !== 0);
    await new Promise((resolve) => setTimeout(resolve, 1));
  };
  return { queue, said, calls, idle };
}

const train = (taskId: number, step: number, blocks: ShardBlock[]): Task => ({
  kind: 'train',
  task: { taskId, step, firstPosition: step * 32, blocks, leaseEpoch: 3, schedule: [{ learningRate: 0.1, gfaScale: 0.5 }] },
});

describe('task queue', () => {
  it('answers each block with its chunks, then its result', async () => {
    const { queue, said, calls, idle } = setup();
    queue.setParameters(2, new Float32Array(1));
    queue.add(
      train(9, 2, [
        { first: 0, count: 2 },
        { first: 2, count: 1 },
      ]),
    );
    expect(queue.currentTaskId).toBe(9);
    await idle();
    expect(calls).toEqual(['set 2', 'train 2 64 [0,2] 0.5', 'train 2 64 [2,1] 0.5']);
    expect(said.map(({ body }) => body)).toEqual(['chunk', 'blockResult', 'chunk', 'blockResult']);
    expect(said[3]).toMatchObject({
      blockResult: { taskId: 9, step: 2, leaseEpoch: 3, block: { first: 2, count: 1 }, transferId: 2, metricSums: [0.25], computeMs: 5 },
    });
    expect(said[2]).toMatchObject({ chunk: { transferId: 2, offset: 0, totalBytes: 8 } });
  });

  it('hands each version of the parameters over once, and only when a task needs it', async () => {
    const { queue, calls, idle } = setup();
    queue.setParameters(1, new Float32Array(1));
    queue.setParameters(2, new Float32Array(1));
    queue.add(train(1, 2, [{ first: 0, count: 1 }]));
    queue.add({ kind: 'evaluate', task: { taskId: 2, parameterVersion: 2, attack: 'pgd', epsLinf: 0.1, first: 5, count: 2 } });
    await idle();
    expect(calls).toEqual(['set 2', 'train 2 64 [0,1] 0.5', 'evaluate pgd 0.1 5 2']);
  });

  it('fails a task for which it has other parameters', async () => {
    const { queue, said, idle } = setup();
    queue.setParameters(1, new Float32Array(1));
    queue.add(train(1, 2, [{ first: 0, count: 1 }]));
    await idle();
    expect(said).toEqual([
      expect.objectContaining({ taskFailure: expect.objectContaining({ taskId: 1, code: 'PROTOCOL_BAD_MESSAGE' }) as unknown }),
    ]);
  });

  it('stops a cancelled task before its next block and says so', async () => {
    const { queue, said, idle } = setup({
      trainBlock: async () => {
        queue.cancel(1);
        return { gradients: new Float32Array(1), metricSums: new Float64Array(1), computeMs: 0 };
      },
    });
    queue.setParameters(2, new Float32Array(1));
    queue.add(
      train(1, 2, [
        { first: 0, count: 1 },
        { first: 1, count: 1 },
      ]),
    );
    await idle();
    expect(said.map(({ body }) => body)).toEqual(['chunk', 'blockResult', 'taskFailure']);
    expect(said[2]).toMatchObject({ taskFailure: { taskId: 1, code: 'PROTOCOL_STALE_LEASE' } });
  });

  it('says which code a failing computation has and goes on with the next task', async () => {
    const { queue, said, idle } = setup({ trainBlock: () => Promise.reject(new Error('no memory')) });
    queue.setParameters(2, new Float32Array(1));
    queue.add(train(1, 2, [{ first: 0, count: 1 }]));
    queue.add({ kind: 'initialise', task: { taskId: 2 } });
    await idle();
    expect(said[0]).toMatchObject({ taskFailure: { taskId: 1, code: 'ENGINE_FAILED', message: 'no memory' } });
    expect(said[2]).toMatchObject({ initialParameters: { taskId: 2, transferId: 1 } });
  });

  it('refuses an attack that it does not know', async () => {
    const { queue, said, idle } = setup();
    queue.setParameters(2, new Float32Array(1));
    queue.add({ kind: 'evaluate', task: { taskId: 2, parameterVersion: 2, attack: 'other', epsLinf: 0.1, first: 5, count: 2 } });
    await idle();
    expect(said[0]).toMatchObject({ taskFailure: { taskId: 2, code: 'PROTOCOL_BAD_MESSAGE' } });
  });

  it('says nothing more when it is closed in mid-task', async () => {
    const { queue, said, idle } = setup({
      trainBlock: async () => {
        queue.close();
        return { gradients: new Float32Array(1), metricSums: new Float64Array(1), computeMs: 0 };
      },
    });
    queue.setParameters(2, new Float32Array(1));
    queue.add(train(1, 2, [{ first: 0, count: 1 }]));
    await idle();
    expect(said).toEqual([]);
  });
});
