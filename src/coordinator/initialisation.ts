/** @file The job that makes the initial parameters. One worker computes them from the seed; any worker would give the same bits. */
import { coordinatorMessage, type ShardBlock } from '../wire/index.ts';
import { type Answer, badAnswer, type Job, type TaskPlan } from './job.ts';
import { type Grant, LeaseTable } from './leases.ts';

/** Initialisation as a job of the worker pool. */
export class Initialisation implements Job {
  readonly kind = 'initialise';
  readonly unitsPerWorker = 1;
  readonly minWorkers = 1;
  readonly leases = new LeaseTable(1);
  readonly #vectorLength: number;
  #parameters: Float32Array | undefined;

  /** @param vectorLength elements of the vectors that travel: the parameters, and what is sent along with them */
  constructor(vectorLength: number) {
    this.#vectorLength = vectorLength;
  }

  /** The vector; undefined before the job is complete. */
  get parameters(): Float32Array | undefined {
    return this.#parameters;
  }

  plan(grant: Grant, nextTaskId: () => number): TaskPlan[] {
    const taskId = nextTaskId();
    return [{ taskId, message: coordinatorMessage('initialiseTask', { taskId }), parts: grant.ranges }];
  }

  locate(answer: Answer, parts: readonly ShardBlock[], taskEpoch: number): { range: ShardBlock; epoch: number } {
    const [part] = parts;
    if (answer.kind !== 'initial' || part === undefined) throw badAnswer('initial parameters', answer.kind);
    return { range: part, epoch: taskEpoch };
  }

  accept(_range: ShardBlock, answer: Answer): void {
    if (answer.kind !== 'initial') throw badAnswer('initial parameters', answer.kind);
    if (answer.parameters.length !== this.#vectorLength) throw badAnswer(`${this.#vectorLength} values`, String(answer.parameters.length));
    if (!answer.parameters.every(Number.isFinite)) throw badAnswer('finite parameters', 'NaN or infinity');
    this.#parameters = answer.parameters;
  }
}
