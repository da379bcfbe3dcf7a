/** @file Interleavings by name; most are taken from bugs of other orchestrators. */
import { beforeEach, describe, expect, it } from 'vitest';
import { PACKAGE_VERSION, PROTOCOL_VERSION } from '../../../src/core/index.ts';
import { EvaluationQueue } from '../../../src/coordinator/evaluation-queue.ts';
import { Initialisation } from '../../../src/coordinator/initialisation.ts';
import type { Waiting } from '../../../src/coordinator/pool-observer.ts';
import { StepBarrier } from '../../../src/coordinator/step-barrier.ts';
import type { WorkerLink } from '../../../src/coordinator/worker-link.ts';
import { WorkerPool } from '../../../src/coordinator/worker-pool.ts';
import { type CoordinatorMessage, type EvaluationTask, type ShardBlock, sumTree, type TrainTask } from '../../../src/wire/index.ts';
import { GRADIENT_LENGTH, IDENTITY, METRIC_NAMES, shardGradient } from './simulated-worker.ts';
import { settle, VirtualClock } from './virtual-clock.ts';

const LEASE_MS = 100;
const DEADLINE_MS = 1_000;
const LOST_MS = 5_000;

let clock: VirtualClock;
let waits: Waiting[];
let quarantines: [string, number, string][];
let shortDeadlines: [number | undefined, number][];
let superseded: number;
let refused: number;
let pool: WorkerPool<number>;

beforeEach(() => {
  clock = new VirtualClock();
  waits = [];
  quarantines = [];
  shortDeadlines = [];
  superseded = 0;
  refused = 0;
  pool = createPool();
});

function createPool(maxWorkers?: number): WorkerPool<number> {
  return new WorkerPool<number>({
    clock,
    leaseMs: LEASE_MS,
    stepDeadlineMs: DEADLINE_MS,
    workersLostMs: LOST_MS,
    identity: IDENTITY,
    welcome: { runId: 'r', configJson: '{}', ...IDENTITY, heartbeatMs: 20, trainSamples: 1, evaluationJson: '' },
    encodeParameters: (version) => version,
    maxWorkers,
    observer: {
      waiting: (waiting) => waits.push(waiting),
      workerQuarantined: ({ workerId }, lengthMs, reason) => quarantines.push([workerId, lengthMs, reason]),
      deadlineTooShort: ({ step: number }, deadlineMs) => shortDeadlines.push([number, deadlineMs]),
      answerSuperseded: () => {
        superseded += 1;
      },
      answerRefused: () => {
        refused += 1;
      },
    },
  });
}

/** A worker that does only what the test says; `beats` keeps it alive. */
class ScriptedWorker implements WorkerLink<number> {
  readonly id: number;
  readonly messages: CoordinatorMessage[] = [];
  readonly versions: number[] = [];
  closed = false;
  #beating = true;

  constructor(name: string) {
    this.id = pool.connect(this);
    pool.receive(this.id, {
      kind: 'hello',
      message: { workerId: name, protocolVersion: PROTOCOL_VERSION, packageVersion: PACKAGE_VERSION, host: 'h', processId: 1 },
    });
    const beat = (): void => {
      if (this.#beating && !this.closed) pool.receive(this.id, { kind: 'alive' });
      clock.setTimer(LEASE_MS / 4, beat);
    };
    beat();
  }

  send(message: CoordinatorMessage): void {
    this.messages.push(message);
  }
  sendParameters(version: number): void {
    this.versions.push(version);
  }
  close(): void {
    this.closed = true;
  }

  ready(): this {
    pool.receive(this.id, {
      kind: 'ready',
      message: { ...IDENTITY, engineFingerprint: 'e', metricNames: METRIC_NAMES, captureMs: 0, compileMs: 0 },
    });
    return this;
  }
  freeze(): void {
    this.#beating = false;
  }
  thaw(): void {
    this.#beating = true;
  }
  get tasks(): TrainTask[] {
    return this.messages.flatMap((message) => (message.body === 'trainTask' ? [message.trainTask] : []));
  }
  get blocks(): ShardBlock[] {
    return this.tasks.flatMap(({ blocks }) => blocks);
  }
  said(body: CoordinatorMessage['body']): number {
    return this.messages.filter((message) => message.body === body).length;
  }
  /** Answers all blocks of its last task. */
  answer(): void {
    const task = this.tasks.at(-1) as TrainTask;
    for (const block of task.blocks) this.answerBlock(task, block);
  }
  /** Answers its last task of an evaluation: all images are right. */
  evaluate(): void {
    const tasks = this.messages.flatMap((message) => (message.body === 'evaluationTask' ? [message.evaluationTask] : []));
    const { taskId, count } = tasks.at(-1) as EvaluationTask;
    pool.receive(this.id, { kind: 'evaluation', message: { taskId, correct: Buffer.alloc(count, 1), lossSum: 0, computeMs: 1 } });
  }
  answerBlock(task: TrainTask, block: ShardBlock): void {
    const { taskId, step, leaseEpoch } = task;
    const leaves = Array.from({ length: block.count }, (_, i) => shardGradient(step, block.first + i));
    const message = { taskId, step, leaseEpoch, block, transferId: 0, metricSums: [block.count, 0], computeMs: 1 };
    pool.receive(this.id, { kind: 'block', message, gradients: sumTree(leaves) });
  }
}

function readyWorkers<Names extends string[]>(...names: Names): { [Key in keyof Names]: ScriptedWorker } {
  return names.map((name) => new ScriptedWorker(name).ready()) as { [Key in keyof Names]: ScriptedWorker };
}

function step(number: number, options: { readonly shards?: number; readonly minWorkers?: number } = {}) {
  pool.publish(number, new Float32Array(0));
  const { shards = 4, minWorkers = 1 } = options;
  const barrier = new StepBarrier({
    step: number,
    firstPosition: 0,
    schedule: [{ learningRate: 0.1, gfaScale: 0 }],
    shards,
    vectorLength: GRADIENT_LENGTH,
    metricCount: () => METRIC_NAMES.length,
    minWorkers,
  });
  const promise = pool.run(barrier);
  const outcome = { done: false, error: undefined as unknown };
  promise.then(
    () => {
      outcome.done = true;
    },
    (error: unknown) => {
      outcome.error = error;
    },
  );
  const expectExact = async () => {
    await promise;
    const leaves = Array.from({ length: shards }, (_, shard) => shardGradient(number, shard));
    expect(barrier.takeMean().gradients).toEqual(sumTree(leaves).map((value) => value / shards));
  };
  return { promise, outcome, expectExact, barrier };
}

describe('worker pool', () => {
  it('commits when one worker answers and is gone, two others answer, and a fourth joins meanwhile', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new ScriptedWorker(name).ready()) as [ScriptedWorker, ScriptedWorker, ScriptedWorker];
    const { expectExact } = step(0, { shards: 6 });
    a.answer();
    pool.disconnect(a.id, 'gone');
    const d = new ScriptedWorker('d').ready();
    b.answer();
    c.answer();
    await expectExact();
    // What was counted stays counted: the newcomer has nothing to do in this step, and a part in the next.
    expect(d.tasks).toEqual([]);
    step(1, { shards: 6 });
    expect(d.blocks).toHaveLength(1);
  });

  it('goes on with a newcomer when the survivors are fewer than minWorkers', async () => {
    const [a, b] = ['a', 'b'].map((name) => new ScriptedWorker(name).ready()) as [ScriptedWorker, ScriptedWorker];
    const first = step(0, { minWorkers: 2 });
    a.answer();
    pool.disconnect(b.id, 'gone');
    // The step in progress is finished by whoever is there.
    a.answer();
    await first.expectExact();
    const second = step(1, { minWorkers: 2 });
    expect(a.tasks.filter(({ step: number }) => number === 1)).toEqual([]);
    expect(waits.at(-1)).toMatchObject({ needed: 2, ready: 1, preparing: 0 });
    const c = new ScriptedWorker('c').ready();
    a.answer();
    c.answer();
    await second.expectExact();
  });

  it('says what is missing at once, then every 10 s, and no more when a worker is ready', async () => {
    step(0);
    expect(waits).toHaveLength(1);
    await clock.advance(9_999);
    expect(waits).toHaveLength(1);
    await clock.advance(1);
    expect(waits).toHaveLength(2);
    const worker = new ScriptedWorker('a');
    await clock.advance(10_000);
    expect(waits.at(-1)).toMatchObject({ needed: 1, ready: 0, preparing: 1 });
    worker.ready();
    const count = waits.length;
    await clock.advance(30_000);
    expect(waits).toHaveLength(count);
  });

  it('refuses the late answer of a frozen worker and gives it work again in the next step', async () => {
    const [a, b] = ['a', 'b'].map((name) => new ScriptedWorker(name).ready()) as [ScriptedWorker, ScriptedWorker];
    const { expectExact, outcome } = step(0);
    b.answer();
    a.freeze();
    await clock.advance(LEASE_MS * 2);
    expect(a.said('cancelTask')).toBe(1);
    expect(b.tasks.at(-1)).toMatchObject({ leaseEpoch: 2, blocks: [{ first: 0, count: 2 }] });
    a.thaw();
    a.answer();
    expect(outcome.done).toBe(false);
    expect(a.said('answerRefused')).toBe(1);
    b.answer();
    await expectExact();
    // Its quarantine ends.
    await clock.advance(2_000);
    step(1);
    expect(a.tasks.at(-1)?.step).toBe(1);
    expect(a.versions).toEqual([0, 1]);
  });

  it("splits a dead worker's block over the idle ones", async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new ScriptedWorker(name).ready()) as [ScriptedWorker, ScriptedWorker, ScriptedWorker];
    const { expectExact } = step(0, { shards: 12 });
    b.answer();
    c.answer();
    pool.disconnect(a.id, 'killed');
    expect([b.tasks.at(-1)?.blocks, c.tasks.at(-1)?.blocks]).toEqual([[{ first: 0, count: 2 }], [{ first: 2, count: 2 }]]);
    c.answer();
    b.answer();
    await expectExact();
  });

  it('leases an overdue block to an idle worker and leaves it alone when nobody is idle', async () => {
    const [a, b] = ['a', 'b'].map((name) => new ScriptedWorker(name).ready()) as [ScriptedWorker, ScriptedWorker];
    const { expectExact } = step(0);
    await clock.advance(DEADLINE_MS * 3);
    expect([a.tasks.length, b.tasks.length]).toEqual([1, 1]);
    b.answer();
    expect(b.tasks).toHaveLength(2);
    b.answer();
    await expectExact();
    a.answer();
    expect(a.said('answerRefused')).toBe(1);
  });

  it('does not hand work round for ever when it takes longer than the deadline', async () => {
    const [a, b] = ['a', 'b'].map((name) => new ScriptedWorker(name).ready()) as [ScriptedWorker, ScriptedWorker];
    const { outcome, expectExact } = step(0);
    b.answer();
    // Every computation of the rest takes 1.5 deadlines.
    for (let round = 0; round < 6 && !outcome.done; round++) {
      await clock.advance(DEADLINE_MS * 1.5);
      for (const worker of [a, b]) if (worker.tasks.length > 0) worker.answer();
      await settle();
    }
    await expectExact();
  });

  it('counts an answer once when it is delivered twice', async () => {
    const [a, b] = ['a', 'b'].map((name) => new ScriptedWorker(name).ready()) as [ScriptedWorker, ScriptedWorker];
    const { expectExact } = step(0, { shards: 6 });
    const [task] = a.tasks as [TrainTask];
    const [firstBlock, secondBlock] = task.blocks as [ShardBlock, ShardBlock];
    a.answerBlock(task, firstBlock);
    a.answerBlock(task, firstBlock);
    a.answerBlock(task, secondBlock);
    b.answer();
    await expectExact();
    expect(a.closed).toBe(false);
  });

  it('ends with WORKERS_LOST when all have been gone for long enough, and not before one ever came', async () => {
    const { outcome } = step(0);
    await clock.advance(LOST_MS * 10);
    expect(outcome.error).toBeUndefined();
    const a = new ScriptedWorker('a').ready();
    pool.disconnect(a.id, 'killed');
    await clock.advance(LOST_MS - 1);
    expect(outcome.error).toBeUndefined();
    await clock.advance(1);
    expect(outcome.error).toMatchObject({ code: 'WORKERS_LOST' });
  });

  it('lets members go without a word when it is suspended, also those that come then', () => {
    const [a] = readyWorkers('a');
    pool.suspend('the disk is full');
    expect([a.closed, a.said('finish'), a.said('refusal')]).toEqual([true, 0, 0]);
    const late: CoordinatorMessage[] = [];
    let closed = false;
    const link = {
      send: (message: CoordinatorMessage) => void late.push(message),
      sendParameters: () => {},
      close: () => void (closed = true),
    };
    pool.connect(link);
    expect([closed, late]).toEqual([true, []]);
  });

  it('takes time in which it was itself asleep for no silence of the workers', async () => {
    const [a] = readyWorkers('a');
    step(0);
    await clock.advance(LEASE_MS / 2);
    // What the worker says meanwhile is read after the timers that are due.
    a.freeze();
    clock.sleep(50 * LEASE_MS);
    await clock.advance(LEASE_MS / 2);
    a.thaw();
    await clock.advance(LEASE_MS);
    expect(pool.membership.ready().length).toBe(1);
    expect(quarantines).toEqual([]);
  });

  it('drops a worker that stays silent, and ends with WORKERS_LOST when it was the last', async () => {
    const a = new ScriptedWorker('a').ready();
    const { outcome } = step(0);
    a.freeze();
    await clock.advance(LEASE_MS + LOST_MS + LEASE_MS);
    expect(outcome.error).toMatchObject({ code: 'WORKERS_LOST' });
    expect(a.closed).toBe(true);
  });

  it("fails the job with the workers' error when it fails on three of them", async () => {
    const workers = ['a', 'b', 'c'].map((name) => new ScriptedWorker(name).ready()) as [ScriptedWorker, ScriptedWorker, ScriptedWorker];
    const { outcome } = step(0);
    for (const worker of workers) {
      const { taskId } = worker.tasks[0] as TrainTask;
      pool.receive(worker.id, { kind: 'failure', message: { taskId, code: 'ENGINE_FAILED', message: 'no memory' } });
    }
    await settle();
    expect(outcome.error).toMatchObject({ code: 'ENGINE_FAILED' });
    expect(workers.map(({ closed }) => closed)).toEqual([true, true, true]);
  });

  it('rejects the job and cancels its tasks when it is abandoned', async () => {
    const a = new ScriptedWorker('a').ready();
    const { outcome } = step(0);
    pool.abandon('stop');
    await settle();
    expect(outcome.error).toMatchObject({ code: 'INTERRUPTED' });
    expect(a.said('cancelTask')).toBe(1);
    // The acknowledgement of the cancelled task makes the worker free for the next job.
    pool.receive(a.id, { kind: 'failure', message: { taskId: a.tasks[0]?.taskId as number, code: 'PROTOCOL_STALE_LEASE', message: '' } });
    step(1);
    expect(a.tasks).toHaveLength(2);
  });

  it('tells late comers that the run is over when it has finished', () => {
    pool.finish('completed', 'done');
    const late: CoordinatorMessage[] = [];
    pool.connect({ send: (message) => late.push(message), sendParameters: () => {}, close: () => {} });
    expect(late.map(({ body }) => body)).toEqual(['finish']);
    expect(clock.pending).toBe(0);
  });

  it('takes the initial parameters from one worker only', async () => {
    const [a, b] = ['a', 'b'].map((name) => new ScriptedWorker(name).ready()) as [ScriptedWorker, ScriptedWorker];
    const job = new Initialisation(3);
    const done = pool.run(job);
    expect([a.said('initialiseTask'), b.said('initialiseTask')]).toEqual([1, 0]);
    const { initialiseTask } = a.messages.find((message) => message.body === 'initialiseTask') as Extract<
      CoordinatorMessage,
      { body: 'initialiseTask' }
    >;
    pool.receive(a.id, {
      kind: 'initial',
      message: { taskId: initialiseTask.taskId, transferId: 0 },
      parameters: Float32Array.of(1, 2, 3),
    });
    await done;
    expect(job.parameters).toEqual(Float32Array.of(1, 2, 3));
  });

  it('refuses an answer with the wrong number of metrics', () => {
    const a = new ScriptedWorker('a').ready();
    step(0);
    const [task] = a.tasks as [TrainTask];
    const message = {
      taskId: task.taskId,
      step: 0,
      leaseEpoch: 1,
      block: task.blocks[0] as ShardBlock,
      transferId: 0,
      metricSums: [1],
      computeMs: 0,
    };
    pool.receive(a.id, { kind: 'block', message, gradients: new Float32Array(GRADIENT_LENGTH) });
    expect(a.messages.at(-1)).toMatchObject({ body: 'refusal', refusal: { code: 'PROTOCOL_BAD_MESSAGE' } });
    expect(a.closed).toBe(true);
  });

  describe('with a straggler', () => {
    const LATE_MS = 100;

    it('leases its units a second time and counts the first answer', async () => {
      const [a, b] = readyWorkers('a', 'b');
      const { expectExact, barrier } = step(0);
      await clock.advance(10);
      b.answer();
      await clock.advance(LATE_MS - 11);
      expect(b.tasks).toHaveLength(1);
      await clock.advance(1);
      expect(b.tasks.at(-1)).toMatchObject({ leaseEpoch: 2, blocks: [{ first: 0, count: 2 }] });
      expect(a.said('cancelTask')).toBe(0);
      b.answer();
      await expectExact();
      expect(a.said('cancelTask')).toBe(1);
      expect(barrier.blocks).toMatchObject([
        { first: 0, count: 2, workerId: 'b' },
        { first: 2, count: 2, workerId: 'b' },
      ]);
      // Its answer was on the way: no fault of anybody, and it is free again.
      a.answer();
      expect([superseded, refused, a.said('answerRefused')]).toEqual([1, 0, 0]);
      expect(quarantines).toEqual([]);
      const next = step(1);
      a.answer();
      b.answer();
      await next.expectExact();
    });

    it('does so among many workers too, whose answers are looked at together', async () => {
      const workers = readyWorkers(...Array.from({ length: 40 }, (_, i) => `w${i}`));
      const [straggler, ...others] = workers as [ScriptedWorker, ...ScriptedWorker[]];
      const { expectExact } = step(0, { shards: 40 });
      await clock.advance(10);
      for (const worker of others) worker.answer();
      await clock.advance(LATE_MS);
      const helper = others.find(({ tasks }) => tasks.length > 1) as ScriptedWorker;
      expect(helper.tasks.at(-1)?.blocks).toEqual(straggler.blocks);
      helper.answer();
      await expectExact();
      expect(others.filter(({ tasks }) => tasks.length > 1)).toEqual([helper]);
      const next = step(1, { shards: 40 });
      straggler.answer();
      for (const worker of workers) if (worker.tasks.at(-1)?.step === 1) worker.answer();
      await next.expectExact();
    });

    it("cancels the helper's task when the straggler is faster after all", async () => {
      const [a, b] = readyWorkers('a', 'b');
      const { expectExact, barrier } = step(0);
      b.answer();
      await clock.advance(LATE_MS);
      a.answer();
      await expectExact();
      expect(b.said('cancelTask')).toBe(1);
      expect(barrier.blocks.map(({ workerId }) => workerId)).toEqual(['a', 'b']);
      // Until the helper says that it has stopped, it takes nothing.
      step(1);
      expect(b.tasks).toHaveLength(2);
      pool.receive(b.id, {
        kind: 'failure',
        message: { taskId: b.tasks[1]?.taskId as number, code: 'PROTOCOL_STALE_LEASE', message: '' },
      });
      expect(b.closed).toBe(false);
    });

    it('gives each helper another part of its task, the last ones first, and cuts none', async () => {
      const [a, b, c] = readyWorkers('a', 'b', 'c');
      // a: [0, 4) [4, 5); b: [5, 6) [6, 8) [8, 10); c: the rest of 16.
      const { expectExact, barrier } = step(0, { shards: 16 });
      a.answer();
      c.answer();
      await clock.advance(LATE_MS);
      const parts = b.blocks;
      expect(parts.length).toBeGreaterThan(2);
      expect([a.tasks[1]?.blocks, c.tasks[1]?.blocks]).toEqual([[parts.at(-1)], [parts.at(-2)]]);
      // Both end a part of the other's, and the helpers go on with what is left.
      a.answer();
      expect(b.said('cancelTask')).toBe(0);
      b.answerBlock(b.tasks[0] as TrainTask, parts.at(-2) as ShardBlock);
      expect(c.said('cancelTask')).toBe(1);
      expect(a.tasks.at(-1)?.blocks).toEqual([parts.at(-3)]);
      a.answer();
      await expectExact();
      expect(barrier.blocks.reduce((sum, { count }) => sum + count, 0)).toBe(16);
    });

    it('cancels what is left of a task when others have done it', async () => {
      const [a, b] = readyWorkers('a', 'b');
      const { expectExact } = step(0, { shards: 6 });
      b.answer();
      await clock.advance(LATE_MS);
      const task = a.tasks[0] as TrainTask;
      const [head, tail] = task.blocks as [ShardBlock, ShardBlock];
      expect(b.tasks.at(-1)?.blocks).toEqual([tail]);
      b.answer();
      expect(a.said('cancelTask')).toBe(0);
      a.answerBlock(task, head);
      expect(a.said('cancelTask')).toBe(1);
      await expectExact();
    });

    it('keeps the second lease when the straggler dies, and the first when the helper does', async () => {
      const [a, b, c] = readyWorkers('a', 'b', 'c');
      const { expectExact } = step(0, { shards: 3 });
      b.answer();
      await clock.advance(LATE_MS);
      expect(b.tasks.at(-1)?.blocks).toEqual(a.blocks);
      pool.disconnect(a.id, 'killed');
      expect(b.tasks).toHaveLength(2);
      c.answer();
      await clock.advance(LATE_MS);
      // Now the helper is late: c helps it, and dies.
      expect(c.tasks.at(-1)?.blocks).toEqual([{ first: 0, count: 1 }]);
      pool.disconnect(c.id, 'killed');
      b.answer();
      await expectExact();
      expect(refused).toBe(0);
    });

    it('refuses an answer under an old epoch, of either holder', async () => {
      const [a, b] = readyWorkers('a', 'b');
      const { outcome, expectExact } = step(0);
      b.answer();
      await clock.advance(LATE_MS);
      const [mine, second] = [a.tasks[0] as TrainTask, b.tasks[1] as TrainTask];
      const [block] = mine.blocks as [ShardBlock];
      a.answerBlock({ ...mine, leaseEpoch: second.leaseEpoch }, block);
      b.answerBlock({ ...second, leaseEpoch: mine.leaseEpoch }, block);
      await settle();
      expect([outcome.done, refused, superseded]).toEqual([false, 2, 0]);
      b.answer();
      await expectExact();
    });

    it('waits as long as such units took before', async () => {
      const [a, b] = readyWorkers('a', 'b');
      const { outcome } = step(0);
      await clock.advance(300);
      b.answer();
      // 150 ms a unit, two units, twice that.
      await clock.advance(299);
      expect(b.tasks).toHaveLength(1);
      await clock.advance(1);
      expect(b.tasks).toHaveLength(2);
      a.answer();
      await settle();
      expect(outcome.done).toBe(true);
    });

    it('does the same for an evaluation', async () => {
      const [a, b] = readyWorkers('a', 'b');
      const queue = new EvaluationQueue({ attack: 'clean', epsLinf: 0, samples: 3, batchSize: 2, parameterVersion: 0 });
      const done = pool.run(queue);
      b.evaluate();
      await clock.advance(LATE_MS);
      b.evaluate();
      await done;
      a.evaluate();
      expect([...queue.correct]).toEqual([1, 1, 1]);
      expect([superseded, refused, a.said('cancelTask')]).toEqual([1, 0, 1]);
    });
  });

  describe('quarantine', () => {
    it('gives no lease to a worker that exceeded the deadline, until it is over', async () => {
      const [a, b, c] = readyWorkers('a', 'b', 'c');
      const first = step(0, { shards: 3 });
      // At this pace a lease is late only after the deadline.
      await clock.advance(DEADLINE_MS - 1);
      b.answer();
      c.answer();
      await clock.advance(1);
      expect(quarantines).toEqual([['a', 2_000, 'deadline']]);
      c.answer();
      await first.expectExact();
      a.answer();
      const second = step(1, { shards: 3 });
      expect(a.tasks).toHaveLength(1);
      b.answer();
      c.answer();
      await second.expectExact();
      await clock.advance(2_000);
      step(2, { shards: 3 });
      expect(a.tasks).toHaveLength(2);
    });

    it('is not for those who exceed the deadline together, at a pace that nobody has shown to be slow', async () => {
      const [a, b] = readyWorkers('a', 'b');
      const first = step(0, { shards: 2 });
      const [c] = readyWorkers('c');
      await clock.advance(DEADLINE_MS);
      expect([a.said('cancelTask'), b.said('cancelTask'), quarantines]).toEqual([1, 1, []]);
      expect(shortDeadlines).toEqual([[0, DEADLINE_MS]]);
      // The newcomer may take twice as long.
      await clock.advance(DEADLINE_MS * 1.9);
      c.answer();
      await first.expectExact();
      for (const worker of [a, b]) worker.answer();
      const second = step(1, { shards: 3 });
      expect([a, b, c].map(({ tasks }) => tasks.length)).toEqual([2, 2, 2]);
      for (const worker of [a, b, c]) worker.answer();
      await second.expectExact();
      expect(shortDeadlines).toHaveLength(1);
    });

    it('is for those who exceed the deadline and are late at the pace of earlier steps, also when nobody has answered', async () => {
      const [a] = readyWorkers('a');
      const first = step(0, { shards: 1 });
      a.answer();
      await first.expectExact();
      const second = step(1, { shards: 1 });
      const [b, c] = readyWorkers('b', 'c');
      // The helper hangs as well, but not for so long yet.
      await clock.advance(DEADLINE_MS);
      expect(b.tasks).toHaveLength(1);
      expect(quarantines).toEqual([['a', 2_000, 'deadline']]);
      expect(shortDeadlines).toEqual([]);
      c.answer();
      await second.expectExact();
    });

    it('comes so many times later as a unit of the job has steps', async () => {
      const [a] = readyWorkers('a');
      const queue = new EvaluationQueue({ attack: 'clean', epsLinf: 0, samples: 1, batchSize: 1, parameterVersion: 0 });
      const done = pool.run(Object.assign(queue, { deadlineFactor: 3 }));
      const [b] = readyWorkers('b');
      await clock.advance(3 * DEADLINE_MS - 1);
      expect([a.said('cancelTask'), b.said('evaluationTask')]).toEqual([0, 0]);
      await clock.advance(1);
      expect([a.said('cancelTask'), b.said('evaluationTask')]).toEqual([1, 1]);
      expect(shortDeadlines).toEqual([[undefined, 3 * DEADLINE_MS]]);
      b.evaluate();
      await done;
    });

    it('starts work by itself when a quarantine ends', async () => {
      const [a, b] = readyWorkers('a', 'b');
      a.freeze();
      await clock.advance(LEASE_MS * 1.5);
      a.thaw();
      await clock.advance(LEASE_MS);
      expect(quarantines).toEqual([['a', 2_000, 'silent']]);
      const { expectExact } = step(0);
      // A busy worker that nobody may help...
      expect([a.tasks.length, b.tasks.length]).toEqual([0, 1]);
      await clock.advance(2_000);
      // ...until a may again; the deadline has passed meanwhile.
      expect(a.tasks).toHaveLength(1);
      a.answer();
      await expectExact();
    });

    it('lets a quarantined worker work when no other is ready', async () => {
      const [a, b] = readyWorkers('a', 'b');
      a.freeze();
      await clock.advance(LEASE_MS * 2);
      a.thaw();
      await clock.advance(LEASE_MS);
      const { expectExact } = step(0);
      expect(a.tasks).toHaveLength(0);
      pool.disconnect(b.id, 'killed');
      a.answer();
      await expectExact();
    });

    it('is for workers that fail, by name, and not for those that are gone', () => {
      const [a, b] = readyWorkers('a', 'b');
      step(0);
      pool.receive(a.id, { kind: 'failure', message: { taskId: a.tasks[0]?.taskId as number, code: 'ENGINE_FAILED', message: '' } });
      expect(quarantines).toEqual([['a', 2_000, 'failed']]);
      const again = new ScriptedWorker('a').ready();
      b.answer();
      expect(again.tasks).toEqual([]);
      pool.disconnect(b.id, 'killed');
      expect(again.tasks).toHaveLength(1);
      expect(quarantines).toHaveLength(1);
    });
  });

  it('classes the time of its workers', async () => {
    const preparing = new ScriptedWorker('a');
    await clock.advance(10_000);
    const a = preparing.ready();
    await clock.advance(1_000);
    const first = step(0, { minWorkers: 2 });
    // Too few workers.
    await clock.advance(2_000);
    const b = new ScriptedWorker('b').ready();
    await clock.advance(400);
    // Both say that they computed for 1 ms.
    a.answer();
    await clock.advance(100);
    b.answer();
    await first.expectExact();
    await pool.whileCheckpointing(() => clock.advance(3_000));
    step(1);
    a.answer();
    await clock.advance(400);
    pool.disconnect(b.id, 'killed');
    const { seconds, usefulShare } = pool.goodput();
    const rounded = Object.fromEntries(Object.entries(seconds).map(([state, value]) => [state, Math.round(value * 1000) / 1000]));
    expect(rounded).toEqual({
      preparing: 10,
      coordinator: 1.898,
      idle: 2,
      useful: 0.002,
      stragglers: 0.1 + 0.4,
      checkpointing: 6,
      evaluation: 0,
      recomputed: 0.4,
    });
    expect(usefulShare).toBeCloseTo(0.002 / 20, 3);
  });

  describe('with maxWorkers', () => {
    beforeEach(() => {
      pool = createPool(2);
    });

    it('leases to so many workers, and to a spare when one of them leaves', async () => {
      const [a, b, c] = readyWorkers('a', 'b', 'c');
      const { expectExact } = step(0);
      expect([a.blocks, b.blocks, c.blocks]).toEqual([[{ first: 0, count: 2 }], [{ first: 2, count: 2 }], []]);
      expect(c.versions).toEqual([]);
      pool.disconnect(a.id, 'killed');
      expect(c.blocks).toEqual([{ first: 0, count: 2 }]);
      c.answer();
      b.answer();
      await expectExact();
    });

    it('takes overdue leases back for a spare', async () => {
      const [a, b, c] = readyWorkers('a', 'b', 'c');
      const { expectExact } = step(0);
      await clock.advance(DEADLINE_MS);
      // Nobody was idle but the spare.
      expect([a.said('cancelTask'), b.said('cancelTask')]).toEqual([1, 1]);
      expect(c.blocks).toEqual([{ first: 0, count: 4 }]);
      expect(quarantines).toEqual([]);
      c.answer();
      await expectExact();
    });
  });
});
