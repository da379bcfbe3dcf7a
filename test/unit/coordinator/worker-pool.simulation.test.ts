/** @file Thousands of seeded interleavings of joins, deaths, freezes, late, duplicate and forged answers over a virtual clock. */
import { describe, expect, it } from 'vitest';
import { EvaluationQueue } from '../../../src/coordinator/evaluation-queue.ts';
import type { PoolObserver } from '../../../src/coordinator/pool-observer.ts';
import { StepBarrier } from '../../../src/coordinator/step-barrier.ts';
import { WorkerPool } from '../../../src/coordinator/worker-pool.ts';
import { Random } from '../../../src/core/index.ts';
import { sumTree } from '../../../src/wire/index.ts';
import { type Faults, GRADIENT_LENGTH, IDENTITY, METRIC_NAMES, shardGradient, SimulatedWorker, type Snapshot } from './simulated-worker.ts';
import { settle, VirtualClock } from './virtual-clock.ts';

const LEASE_MS = 200;
const STEP_DEADLINE_MS = 600;
const STEPS = 4;
const EVALUATION_SAMPLES = 230;

interface Outcome {
  readonly refused: number;
  readonly expired: number;
  readonly duplicates: number;
  readonly superseded: number;
  readonly speculated: number;
  readonly quarantined: number;
  readonly deaths: number;
  readonly simulatedMs: number;
}

/** One run of STEPS steps and an evaluation; throws where an invariant is broken. */
async function simulate(seed: number, faults: Faults): Promise<Outcome> {
  const random = new Random('order', seed);
  const clock = new VirtualClock();
  const shards = [1, 3, 5, 6, 8, 16][random.integer(6)] as number;
  const counted = new Map<string, number>();
  const tally = { refused: 0, expired: 0, duplicates: 0, superseded: 0, speculated: 0, quarantined: 0, deaths: 0 };
  const observer: PoolObserver = {
    answerAccepted: (_member, answer) => {
      if (answer.kind !== 'block' || answer.message.block === null) return;
      const { first, count } = answer.message.block;
      for (let shard = first; shard < first + count; shard++) {
        const key = `${answer.message.step}/${shard}`;
        counted.set(key, (counted.get(key) ?? 0) + 1);
      }
    },
    answerRefused: () => {
      tally.refused += 1;
    },
    answerDuplicate: () => {
      tally.duplicates += 1;
    },
    answerSuperseded: () => {
      tally.superseded += 1;
    },
    leaseGranted: (_member, _job, { speculative }) => {
      if (speculative) tally.speculated += 1;
    },
    workerQuarantined: () => {
      tally.quarantined += 1;
    },
    leaseExpired: () => {
      tally.expired += 1;
    },
    workerLeft: () => {
      tally.deaths += 1;
    },
  };
  const pool = new WorkerPool<Snapshot>({
    clock,
    leaseMs: LEASE_MS,
    stepDeadlineMs: STEP_DEADLINE_MS,
    workersLostMs: 1_000_000,
    maxWorkers: [undefined, undefined, 1, 2, 3][seed % 5],
    identity: IDENTITY,
    welcome: { runId: 'r', configJson: '{}', ...IDENTITY, heartbeatMs: 50, trainSamples: 100, evaluationJson: '' },
    encodeParameters: (version, values) => ({ version, values: values.slice() }),
    observer,
  });
  const workers: SimulatedWorker[] = [];
  let started = 0;
  const spawn = () => {
    started += 1;
    const worker = new SimulatedWorker({
      clock,
      pool,
      random,
      faults,
      name: `w${started}`,
      leaseMs: LEASE_MS,
      stepDeadlineMs: STEP_DEADLINE_MS,
      // Somebody restarts what has ended, some time later.
      onGone: () => clock.setTimer(random.integer(2_000), spawn),
    });
    workers.push(worker);
  };
  for (let i = random.integer(4); i >= 0; i--) clock.setTimer(random.integer(300), spawn);

  let workerMs = 0;
  const finish = async (promise: Promise<void>): Promise<void> => {
    let done = false;
    const watched = promise.finally(() => {
      done = true;
    });
    for (let events = 0; !done; events++) {
      if (events > 200_000) throw new Error(`seed ${seed}: no progress`);
      const [startMs, present] = [clock.nowMs(), pool.membership.present().length];
      clock.step();
      workerMs += present * (clock.nowMs() - startMs);
      await settle();
    }
    await watched;
  };

  const evaluate = async (version: number) => {
    const queue = new EvaluationQueue({
      attack: 'clean',
      epsLinf: 0,
      samples: EVALUATION_SAMPLES,
      batchSize: 10,
      parameterVersion: version,
    });
    await finish(pool.run(queue));
    expect(queue.correct).toEqual(Uint8Array.from({ length: EVALUATION_SAMPLES }, (_, i) => (i % 3 === 0 ? 1 : 0)));
    expect(queue.meanLoss).toBe(0.25);
  };

  for (let step = 0; step < STEPS; step++) {
    pool.publish(step, new Float32Array([step]));
    const barrier = new StepBarrier({
      step,
      firstPosition: 0,
      schedule: [{ learningRate: 0.1, gfaScale: 1 }],
      shards,
      vectorLength: GRADIENT_LENGTH,
      metricCount: () => METRIC_NAMES.length,
    });
    await finish(pool.run(barrier));
    const { gradients, metricSums } = barrier.takeMean();
    const leaves = Array.from({ length: shards }, (_, shard) => shardGradient(step, shard));
    expect(gradients).toEqual(sumTree(leaves).map((value) => value / shards));
    expect([...metricSums]).toEqual([0.5, 1]);
    expect(barrier.blocks.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i))).toEqual([...leaves.keys()]);
    if (step === 1) await evaluate(step);
  }
  for (let step = 0; step < STEPS; step++) for (let shard = 0; shard < shards; shard++) expect(counted.get(`${step}/${shard}`)).toBe(1);
  for (const worker of workers) expect(worker.violations.filter((text) => !text.includes('ENGINE_FAILED'))).toEqual([]);
  const times = pool.goodput().seconds;
  expect(Object.values(times).reduce((sum, seconds) => sum + seconds, 0)).toBeCloseTo(workerMs / 1000, 6);
  // Every shard of every step takes a while, and answers that count say 1 ms each.
  expect(times.useful).toBeGreaterThan(0);
  return { ...tally, simulatedMs: clock.nowMs() };
}

describe('worker pool', () => {
  it('commits every step with each shard counted once and the bits of the sequential tree in 1500 interleavings', {
    timeout: 60_000,
  }, async () => {
    const totals = { refused: 0, expired: 0, duplicates: 0, superseded: 0, speculated: 0, quarantined: 0, deaths: 0 };
    for (let seed = 0; seed < 1500; seed++) {
      const calm = seed % 3;
      const faults: Faults = {
        die: 0.03 * calm,
        freeze: 0.05 * calm,
        duplicate: 0.2,
        forgeEpoch: 0.1 * calm,
        fail: 0.01 * calm,
        slow: 0.04 + 0.04 * calm,
      };
      const outcome = await simulate(seed, faults);
      for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += outcome[key];
    }
    // The faults must really happen, else the test shows nothing.
    for (const count of Object.values(totals)) expect(count).toBeGreaterThan(100);
  });
});
