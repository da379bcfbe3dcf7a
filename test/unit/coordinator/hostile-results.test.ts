/** @file What a malicious worker can put into messages and results, without a connection. */
import { describe, expect, it } from 'vitest';
import { resolveSweep } from '../../../src/config/index.ts';
import { measuredOf } from '../../../src/coordinator/sweep-measured.ts';
import { SweepState } from '../../../src/coordinator/sweep-state.ts';
import { checkWorkerMessage } from '../../../src/coordinator/worker-message.ts';
import { systemClock } from '../../../src/core/index.ts';
import { MemoryQueue } from '../../../src/queue/index.ts';
import { checkWorkerName, type WorkerMessage, workerMessage } from '../../../src/wire/index.ts';

const GOOD = '{"details":{"value":1.5},"seconds":2,"engine":"e"}';

describe('the result of a trial', () => {
  it.each([
    ['no JSON', '{'],
    ['null', 'null'],
    ['a list', '[1]'],
    ['infinity', '{"details":{"value":1e999},"seconds":1,"engine":""}'],
    ['text for a number', '{"details":{"value":"1"},"seconds":1,"engine":""}'],
    ['a negative time', '{"details":{"value":1},"seconds":-1,"engine":""}'],
    ['an unknown key', '{"details":{"value":1},"seconds":1,"engine":"","folder":"/etc"}'],
    ['deep nesting', '['.repeat(500_000)],
    [
      'too many figures',
      JSON.stringify({ details: Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`k${i}`, 1])), seconds: 1, engine: '' }),
    ],
    ['a name of a megabyte', JSON.stringify({ details: { ['x'.repeat(1e6)]: 1 }, seconds: 1, engine: '' })],
    ['an engine of a megabyte', JSON.stringify({ details: { value: 1 }, seconds: 1, engine: 'x'.repeat(1e6) })],
  ])('with %s is a failed measurement', (_, result) => {
    const measured = measure(result);
    expect(measured.values).toBeNull();
    expect(JSON.stringify(measured).length).toBeLessThan(2000);
  });

  it('with keys of prototypes changes no prototype', () => {
    expect(measure(GOOD).values).toEqual([1.5]);
    measure('{"details":{"value":1,"__proto__":{"polluted":1}},"seconds":1,"engine":"","__proto__":{"polluted":1}}');
    measure('{"details":{"value":1,"constructor":2,"__proto__":3},"seconds":1,"engine":""}');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect(typeof {}.constructor).toBe('function');
  });
});

function measure(result: string) {
  const parameter = { type: 'float', low: 0, high: 1 };
  const sweep = resolveSweep({
    function: 'branin',
    space: { x1: parameter, x2: parameter },
    objectives: [{ name: 'value' }],
    sampler: { name: 'random' },
    budget: { candidates: 2 },
  });
  const state = SweepState.fresh({ sweep, base: {} });
  const [due] = state.due;
  if (due === undefined) throw new Error('nothing is due');
  return measuredOf({ kind: 'result', task: due.task, result, worker: 'w', epoch: 1 }, due, state);
}

const hello = { workerId: 'a-1-b', protocolVersion: 1, packageVersion: '1', host: 'h', processId: 1 };
const ready = { schemaHash: 'a', engineFingerprint: 'e', datasetHash: 'd', metricNames: ['gfa/conv1/term'], captureMs: 1, compileMs: 1 };

describe('a message of a worker', () => {
  it.each<[string, WorkerMessage]>([
    ['an id with a path', workerMessage('hello', { ...hello, workerId: '../../x' })],
    ['an id with a line break', workerMessage('hello', { ...hello, workerId: 'a\nb' })],
    ['a long id', workerMessage('hello', { ...hello, workerId: 'x'.repeat(129) })],
    ['a long host', workerMessage('hello', { ...hello, host: 'x'.repeat(256) })],
    ['a long fingerprint', workerMessage('ready', { ...ready, engineFingerprint: 'x'.repeat(1025) })],
    ['a metric with a line break', workerMessage('ready', { ...ready, metricNames: ['a\nb'] })],
    ['too many metrics', workerMessage('ready', { ...ready, metricNames: Array<string>(1025).fill('a') })],
    ['a time that is no number', workerMessage('ready', { ...ready, compileMs: Number.NaN })],
    [
      'a count beyond exact numbers',
      workerMessage('attackOutcome', { computeMs: 1, forwardQueries: 2 ** 60, gradientQueries: 0 } as never),
    ],
    ['a long failure', workerMessage('taskFailure', { taskId: 1, code: 'X', message: 'x'.repeat(16_385) })],
  ])('with %s is refused', (_, message) => {
    expect(() => checkWorkerMessage(message)).toThrow('a worker sent a bad');
  });

  it('of an honest worker passes', () => {
    for (const message of [workerMessage('hello', hello), workerMessage('ready', ready), workerMessage('goodbye', { reason: 'x' })])
      expect(() => checkWorkerMessage(message)).not.toThrow();
  });
});

describe('the name in a certificate', () => {
  it.each([
    ['gpu', 'gpu-12-ab3', true],
    ['gpu-1', 'gpu-1-12-ab3', true],
    ['gpu', 'gpu-1-12-ab3', false],
    ['gpu-12', 'gpu-12-ab3', false],
    ['gpu', 'gpu', false],
    ['gpu', 'gpu-', false],
    ['gpu', 'other-12-ab3', false],
  ])('%s stands for the worker %s: %s', (name, workerId, stands) => {
    const check = () => checkWorkerName({ role: 'worker', name }, workerId);
    if (stands) expect(check).not.toThrow();
    else expect(check).toThrow('gives itself out as');
  });
});

it('a queue takes no result for a task that nobody has claimed, except from a worker of an earlier process', async () => {
  const open = async (earliestEpoch: number) => {
    const options = { clock: systemClock, leaseMs: 1000, retries: { errors: 1, preemptions: 1 }, onEnd: async () => {} };
    const queue = new MemoryQueue({ ...options, firstEpoch: 2000, earliestEpoch });
    await queue.publish({ id: 't', payload: '{}' });
    return queue;
  };
  const first = await open(2000);
  for (const epoch of [0, 1, 1500, 2000, 2001]) await expect(first.commit('t', epoch, GOOD)).rejects.toMatchObject({ code: 'CLAIM_LOST' });
  const second = await open(1000);
  await expect(second.commit('t', 1000, GOOD)).rejects.toMatchObject({ code: 'CLAIM_LOST' });
  await second.commit('t', 1001, GOOD);
  await first.close();
  await second.close();
});
