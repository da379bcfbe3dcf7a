/**
 * @file The task queue of one evaluation pass: test images are cut into tasks of whole compiled batches; idle workers take one at a
 * time, and a dead worker's task goes back. Results lie by image, so the outcome doesn't depend on who computed what.
 */
import type { EvaluationName } from '../config/index.ts';
import { coordinatorMessage, type ShardBlock } from '../wire/index.ts';
import { type Answer, badAnswer, type Job, type TaskPlan } from './job.ts';
import { type Grant, LeaseTable } from './leases.ts';

export interface EvaluationQueueOptions {
  readonly attack: EvaluationName;
  /** L-infinity radius in [0,1] pixel units; 0 for clean. */
  readonly epsLinf: number;
  /** Images 0..samples-1 of the test set are evaluated; >= 1. */
  readonly samples: number;
  /** Images of one compiled batch. */
  readonly batchSize: number;
  readonly parameterVersion: number;
  /** Called after each counted task with the images done so far. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Factors on cluster.stepDeadlineMs, so that a task of the largest size may take what its attack takes at full length: by estimate of the
 * passes through the network, roughly. An attack is mostly quicker, because images that are done leave.
 */
const EFFORT: Readonly<Record<EvaluationName, number>> = {
  clean: 1,
  noise: 1,
  fgsm: 1,
  bim: 2,
  pgd: 2,
  'mi-fgsm': 2,
  pifgsm: 2,
  'eot-pgd': 20,
  jitter: 2,
  apgd: 10,
  'apgd-dlr': 10,
  'apgd-t': 90,
  square: 150,
};

/** Aim for this many tasks a pass: few enough to keep messages rare, enough to balance workers of different speed. */
const TASKS_PER_PASS = 16;
/** A task is never longer than this many batches, so that a lost worker costs little. */
const MAX_BATCHES_PER_TASK = 10;

/** One pass over test images as a job of the worker pool. */
export class EvaluationQueue implements Job {
  readonly kind = 'evaluate';
  readonly unitsPerWorker = 1;
  readonly minWorkers = 1;
  readonly deadlineFactor: number;
  readonly leases: LeaseTable;
  readonly imagesPerTask: number;
  readonly #options: EvaluationQueueOptions;
  readonly #correct: Uint8Array;
  readonly #lossSums: Float64Array;
  #done = 0;
  #computeMs = 0;

  constructor(options: EvaluationQueueOptions) {
    this.#options = options;
    this.deadlineFactor = EFFORT[options.attack];
    const batches = Math.ceil(options.samples / options.batchSize);
    const batchesPerTask = Math.min(MAX_BATCHES_PER_TASK, Math.max(1, Math.floor(batches / TASKS_PER_PASS)));
    this.imagesPerTask = batchesPerTask * options.batchSize;
    this.leases = new LeaseTable(Math.ceil(options.samples / this.imagesPerTask));
    this.#correct = new Uint8Array(options.samples);
    this.#lossSums = new Float64Array(this.leases.units);
  }

  /** One byte per image: 1 = classified correctly. */
  get correct(): Uint8Array {
    return this.#correct;
  }

  /** Milliseconds of pure computation, summed over workers. */
  get computeMs(): number {
    return this.#computeMs;
  }

  /** Mean cross-entropy over the images; tasks are added in the order of images, whatever the order of answers. */
  get meanLoss(): number {
    return this.#lossSums.reduce((sum, loss) => sum + loss, 0) / this.#options.samples;
  }

  plan(grant: Grant, nextTaskId: () => number): TaskPlan[] {
    const { attack, epsLinf, parameterVersion } = this.#options;
    const units = grant.ranges.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i));
    return units.map((unit) => {
      const taskId = nextTaskId();
      const message = coordinatorMessage('evaluationTask', { taskId, parameterVersion, attack, epsLinf, ...this.#images(unit) });
      return { taskId, message, parts: [{ first: unit, count: 1 }] };
    });
  }

  locate(answer: Answer, parts: readonly ShardBlock[], taskEpoch: number): { range: ShardBlock; epoch: number } {
    const [part] = parts;
    if (answer.kind !== 'evaluation' || part === undefined) throw badAnswer('an evaluation result', answer.kind);
    return { range: part, epoch: taskEpoch };
  }

  accept(range: ShardBlock, answer: Answer): void {
    if (answer.kind !== 'evaluation') throw badAnswer('an evaluation result', answer.kind);
    const { first, count } = this.#images(range.first);
    const { correct, lossSum, computeMs } = answer.message;
    if (correct.length !== count) throw badAnswer(`${count} results`, String(correct.length));
    if (!correct.every((value) => value <= 1)) throw badAnswer('results 0 or 1', 'another value');
    this.#correct.set(correct, first);
    this.#lossSums[range.first] = lossSum;
    this.#computeMs += computeMs;
    this.#done += count;
    this.#options.onProgress?.(this.#done, this.#options.samples);
  }

  #images(unit: number): ShardBlock {
    const first = unit * this.imagesPerTask;
    return { first, count: Math.min(this.imagesPerTask, this.#options.samples - first) };
  }
}
