/** @file What every queue must do; each implementation is a row of conformance.test.ts. */
import { describe, expect, it } from 'vitest';
import type { Claim, Retries, TaskEnd, TaskQueue, TaskSource } from '../../../src/queue/index.ts';

export interface QueueUnderTest {
  readonly queue: TaskQueue;
  readonly source: TaskSource;
  /** Made durable so far, in order; as the next coordinator would find them. */
  readonly durable: () => Promise<TaskEnd[]>;
}

export interface QueueOptions {
  readonly leaseMs?: number;
  readonly mostClaims?: number;
}

export const RETRIES: Retries = { errors: 1, preemptions: 2 };
export const never = new AbortController().signal;
export const lost = expect.objectContaining({ code: 'CLAIM_LOST' });

export async function claimed(source: TaskSource, worker = 'w'): Promise<Claim> {
  const claim = await source.claim(worker, never);
  if (claim === undefined) throw new Error('no task');
  return claim;
}

/** @param open a queue of its own, closed by the caller */
export function queueConformance(name: string, open: (options: QueueOptions) => Promise<QueueUnderTest>, isSkipped = false): void {
  describe.skipIf(isSkipped)(name, () => {
    it('hands out tasks in their order, each once', async () => {
      const { queue, source } = await open({});
      for (const id of ['a', 'b', 'c']) expect(await queue.publish({ id, payload: `{"of":"${id}"}` })).toBe('published');
      expect(await queue.publish({ id: 'b', payload: 'other' })).toBe('duplicate');
      const claims = await Promise.all([claimed(source), claimed(source), claimed(source)]);
      expect(claims.map(({ task }) => task.id).sort()).toEqual(['a', 'b', 'c']);
      expect(claims.find(({ task }) => task.id === 'b')?.task.payload).toBe('{"of":"b"}');
      expect(await queue.counts()).toMatchObject({ waiting: 0, claimed: 3 });
    });

    it('makes a result durable before the worker hears of success, and tells of it once', async () => {
      const { queue, source, durable } = await open({});
      await queue.publish({ id: 'a', payload: '' });
      const claim = await claimed(source, 'w1');
      await claim.commit('{"x":1}');
      expect(await durable()).toEqual([{ kind: 'result', task: 'a', result: '{"x":1}', worker: 'w1', epoch: claim.epoch }]);
      await expect(claim.commit('{"x":2}')).rejects.toEqual(lost);
      expect(await durable()).toHaveLength(1);
      expect(await queue.publish({ id: 'a', payload: '' })).toBe('duplicate');
      await queue.close();
      const ends: TaskEnd[] = [];
      for await (const end of queue.ends()) ends.push(end);
      expect(ends).toEqual([{ kind: 'result', task: 'a', result: '{"x":1}', worker: 'w1', epoch: claim.epoch }]);
    });

    it('gives the task of a silent worker to another, and refuses what the first one brings', async () => {
      const { queue, source, durable } = await open({ leaseMs: 1000 });
      await queue.publish({ id: 'a', payload: '' });
      const first = await claimed(source, 'frozen');
      const second = await claimed(source, 'w2');
      expect(second.epoch).toBeGreaterThan(first.epoch);
      await expect(first.extend()).rejects.toEqual(lost);
      await expect(first.commit('late')).rejects.toEqual(lost);
      await expect(first.fail({ code: 'INTERNAL', message: '' }, true)).rejects.toEqual(lost);
      await second.commit('in time');
      expect(await durable()).toMatchObject([{ result: 'in time', worker: 'w2' }]);
      await expect(first.commit('later still')).rejects.toEqual(lost);
    });

    it('leaves a task with a worker that extends its claim', async () => {
      const { queue, source, durable } = await open({ leaseMs: 1000 });
      await queue.publish({ id: 'a', payload: '' });
      const claim = await claimed(source);
      for (let i = 0; i < 6; i++) {
        await new Promise((resolve) => setTimeout(resolve, 250));
        await claim.extend();
      }
      await claim.commit('done');
      expect(await durable()).toHaveLength(1);
    });

    it('tries a failed task again, and ends it when its budget is used up; the rest goes on', async () => {
      const { queue, source, durable } = await open({});
      await queue.publish({ id: 'poison', payload: '' });
      await queue.publish({ id: 'good', payload: '' });
      for (let attempt = 0; attempt <= RETRIES.errors; attempt++) {
        const claim = await claimed(source);
        expect(claim.task.id).toBe('poison');
        await claim.fail({ code: 'ENGINE_FAILED', message: `attempt ${attempt}` }, false);
      }
      const good = await claimed(source);
      await good.commit('fine');
      expect(await durable()).toMatchObject([
        { kind: 'failed', task: 'poison', error: { code: 'ENGINE_FAILED', message: 'attempt 1' } },
        { kind: 'result', task: 'good' },
      ]);
    });

    it('ends a task at once that fails for good', async () => {
      const { queue, source, durable } = await open({});
      await queue.publish({ id: 'a', payload: '' });
      await (await claimed(source)).fail({ code: 'CONFIG_INVALID', message: 'no' }, true);
      expect(await durable()).toMatchObject([{ kind: 'failed', task: 'a', error: { code: 'CONFIG_INVALID' } }]);
    });

    it('counts lost workers apart from errors', async () => {
      const { queue, source, durable } = await open({ leaseMs: 60 });
      await queue.publish({ id: 'a', payload: '' });
      const epochs = [];
      for (let attempt = 0; attempt <= RETRIES.preemptions; attempt++) epochs.push((await claimed(source, `w${attempt}`)).epoch);
      expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
      while ((await durable()).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await durable()).toMatchObject([{ kind: 'failed', error: { code: 'WORKERS_LOST' } }]);
    });

    it('gives a task that is published after the end of another one higher epochs', async () => {
      const { queue, source } = await open({ leaseMs: 1000 });
      await queue.publish({ id: 'first', payload: '' });
      for (let i = 0; i < 3; i++) await (await claimed(source)).release();
      const first = await claimed(source);
      await first.commit('');
      await queue.publish({ id: 'second', payload: '' });
      expect((await claimed(source)).epoch).toBeGreaterThan(first.epoch);
    });

    it('takes a task back that is released, without counting it, and hands it out first', async () => {
      const { queue, source } = await open({});
      for (const id of ['a', 'b']) await queue.publish({ id, payload: '' });
      for (let i = 0; i < 5; i++) {
        const claim = await claimed(source);
        expect(claim.task.id).toBe('a');
        await claim.release();
      }
    });

    it('gives up waiting when it is asked to, and loses no task by it', async () => {
      const { queue, source } = await open({});
      const stop = new AbortController();
      const waiting = source.claim('w', stop.signal);
      setTimeout(() => stop.abort(), 30);
      setTimeout(() => void queue.publish({ id: 'a', payload: '' }), 60);
      await waiting.then((claim) => claim?.release());
      expect((await claimed(source)).task.id).toBe('a');
    });

    it('says that there is no more when it is finished', async () => {
      const { queue, source } = await open({});
      const waiting = source.claim('w', never);
      await queue.finish();
      expect(await waiting).toBeUndefined();
      expect(await source.claim('w', never)).toBeUndefined();
    });

    it('withdraws a task, also from a worker', async () => {
      const { queue, source, durable } = await open({});
      for (const id of ['a', 'b']) await queue.publish({ id, payload: '' });
      const claim = await claimed(source);
      await queue.withdraw('a');
      await expect(claim.commit('x')).rejects.toEqual(lost);
      expect((await claimed(source)).task.id).toBe('b');
      expect(await durable()).toEqual([]);
    });

    it('hands out nothing while it is held, and no more than may be claimed at a time', async () => {
      const { queue, source } = await open({ mostClaims: 1 });
      await queue.hold(true);
      for (const id of ['a', 'b']) await queue.publish({ id, payload: '' });
      const [first, second] = [claimed(source), claimed(source)];
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(await queue.counts()).toMatchObject({ waiting: 2, claimed: 0 });
      await queue.hold(false);
      const one = await Promise.race([first, second]);
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(await queue.counts()).toMatchObject({ waiting: 1, claimed: 1 });
      await one.commit('x');
      const both = await Promise.all([first, second]);
      expect(both.map(({ task }) => task.id).sort()).toEqual(['a', 'b']);
    });
  });
}
