/** @file The tasks of one session, done one after the other, with answers on their way while the next block is computed. */
import { IN_TRAINING_ATTACKS } from '../config/index.ts';
import { BYTES_PER_VALUE, collectYoungObjects, DeepDefenseError, isDeepDefenseError, type SumPrecision } from '../core/index.ts';
import { type Logger, withContext, type WorkerMetrics } from '../telemetry/index.ts';
import {
  type AttackTask,
  type DiagnosisTask,
  type EvaluationTask,
  type InitialiseTask,
  type MessageSink,
  sendAll,
  TensorSender,
  type TrainTask,
  type WorkerMessage,
  workerMessage,
} from '../wire/index.ts';
import type { ComputeClient } from './compute-client.ts';

export type Task =
  | { readonly kind: 'initialise'; readonly task: InitialiseTask }
  | { readonly kind: 'train'; readonly task: TrainTask }
  | { readonly kind: 'evaluate'; readonly task: EvaluationTask }
  | { readonly kind: 'attack'; readonly task: AttackTask }
  | { readonly kind: 'diagnose'; readonly task: DiagnosisTask };

export interface TaskQueueOptions {
  readonly stream: MessageSink<WorkerMessage>;
  readonly compute: ComputeClient;
  /** Samples of one shard, for metrics. */
  readonly shardSize: number;
  /** Of gradients. */
  readonly precision: SumPrecision;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
  /** Called when answers can't be sent any more. */
  readonly onBroken: (error: unknown) => void;
}

/** A task that was cancelled: nothing is wrong, the coordinator wants to know that the worker is free. */
const CANCELLED = 'PROTOCOL_STALE_LEASE';
const ATTACKS = ['clean', ...IN_TRAINING_ATTACKS] as const;

/** See the file's header. */
export class TaskQueue {
  readonly #options: TaskQueueOptions;
  readonly #sender = new TensorSender();
  readonly #tasks: Task[] = [];
  readonly #cancelled = new Set<number>();
  #parameters: { readonly version: number; values: Float32Array | undefined } | undefined;
  #current = 0;
  /** Of the training task being computed. */
  #step: number | undefined;
  #closed = false;
  /** Answers leave in order. */
  #sending: Promise<void> = Promise.resolve();

  constructor(options: TaskQueueOptions) {
    const logger = withContext(options.logger, () => ({ step: this.#step }));
    this.#options = { ...options, logger };
  }

  /** Id of the task being computed, 0 when idle. */
  get currentTaskId(): number {
    return this.#current;
  }

  /** A version of the parameters for the tasks that follow; an older one that nobody used is dropped. */
  setParameters(version: number, values: Float32Array): void {
    this.#parameters = { version, values };
  }

  add(task: Task): void {
    this.#tasks.push(task);
    if (this.#current === 0) void this.#work();
  }

  /** Stops a task before its next block. */
  cancel(taskId: number): void {
    if (this.#current === taskId || this.#tasks.some(({ task }) => task.taskId === taskId)) this.#cancelled.add(taskId);
  }

  /** Computes nothing more and sends nothing more. */
  close(): void {
    this.#closed = true;
    this.#tasks.length = 0;
  }

  async #work(): Promise<void> {
    for (let next = this.#tasks.shift(); next !== undefined; next = this.#tasks.shift()) {
      const { taskId } = next.task;
      this.#current = taskId;
      this.#step = next.kind === 'train' ? next.task.step : undefined;
      try {
        await this.#do(next);
      } catch (cause) {
        this.#fail(taskId, cause);
      }
      this.#cancelled.delete(taskId);
    }
    this.#current = 0;
  }

  #do(next: Task): Promise<void> {
    switch (next.kind) {
      case 'initialise':
        return this.#initialise(next.task);
      case 'train':
        return this.#train(next.task);
      case 'evaluate':
        return this.#evaluate(next.task);
      case 'attack':
        return this.#attack(next.task);
      case 'diagnose':
        return this.#diagnose(next.task);
      default:
        return next satisfies never;
    }
  }

  async #initialise({ taskId }: InitialiseTask): Promise<void> {
    const startMs = performance.now();
    const values = await this.#options.compute.initialParameters();
    this.#options.metrics.taskSeconds.observe({ kind: 'initialise' }, (performance.now() - startMs) / 1000);
    this.#sendVector(values, 'float32', (transferId) => workerMessage('initialParameters', { taskId, transferId }));
  }

  async #train({ taskId, step, firstPosition, blocks, leaseEpoch, schedule }: TrainTask): Promise<void> {
    const { compute, metrics, shardSize, precision } = this.#options;
    await this.#useParameters(step);
    for (const block of blocks) {
      if (this.#closed) return;
      if (this.#cancelled.has(taskId)) throw cancelled();
      const { gradients, metricSums, computeMs } = await compute.trainBlock({ step, firstPosition, schedule }, block);
      metrics.taskSeconds.observe({ kind: 'train' }, computeMs / 1000);
      metrics.workerSamples.inc({ kind: 'train' }, block.count * shardSize * schedule.length);
      metrics.gradientBytes.inc(gradients.length * BYTES_PER_VALUE[precision]);
      this.#sendVector(gradients, precision, (transferId) =>
        workerMessage('blockResult', { taskId, step, leaseEpoch, block, transferId, metricSums: [...metricSums], computeMs }),
      );
    }
  }

  async #evaluate({ taskId, parameterVersion, attack, epsLinf, first, count }: EvaluationTask): Promise<void> {
    const { compute, metrics } = this.#options;
    if (this.#cancelled.has(taskId)) throw cancelled();
    await this.#useParameters(parameterVersion);
    const known = ATTACKS.find((name) => name === attack);
    if (known === undefined) {
      throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', { what: `this version has no attack "${attack}"`, expected: ATTACKS.join(', ') });
    }
    const { correct, lossSum, computeMs } = await compute.evaluate(known, epsLinf, first, count);
    metrics.taskSeconds.observe({ kind: 'evaluate' }, computeMs / 1000);
    metrics.workerSamples.inc({ kind: 'evaluate' }, count);
    const bytes = Buffer.from(correct.buffer, correct.byteOffset, correct.byteLength);
    this.#send([workerMessage('evaluationResult', { taskId, correct: bytes, lossSum, computeMs })]);
  }

  async #attack({ taskId, ...work }: AttackTask): Promise<void> {
    const { compute, metrics } = this.#options;
    if (this.#cancelled.has(taskId)) throw cancelled();
    await this.#useParameters(0);
    const { correct, targetCorrect, distances, queries, computeMs } = await compute.attack(work);
    metrics.taskSeconds.observe({ kind: 'evaluate' }, computeMs / 1000);
    metrics.workerSamples.inc({ kind: 'evaluate' }, work.images.length);
    this.#send([
      workerMessage('attackOutcome', {
        taskId,
        correct: Buffer.from(correct),
        targetCorrect: Buffer.from(targetCorrect),
        distances: [...distances],
        forwardQueries: queries.forward,
        gradientQueries: queries.gradient,
        computeMs,
      }),
    ]);
  }

  async #diagnose({ taskId, ...work }: DiagnosisTask): Promise<void> {
    if (this.#cancelled.has(taskId)) throw cancelled();
    await this.#useParameters(0);
    const { json, computeMs } = await this.#options.compute.diagnose(work);
    this.#options.metrics.taskSeconds.observe({ kind: 'evaluate' }, computeMs / 1000);
    this.#send([workerMessage('diagnosisOutcome', { taskId, json, computeMs })]);
  }

  async #useParameters(version: number): Promise<void> {
    const parameters = this.#parameters;
    if (parameters?.version !== version) {
      throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
        what: `a task needs version ${version} of the parameters`,
        got: parameters === undefined ? 'none was sent' : `version ${parameters.version}`,
      });
    }
    if (parameters.values === undefined) return;
    const { values } = parameters;
    parameters.values = undefined;
    await this.#options.compute.setParameters(version, values);
  }

  #fail(taskId: number, cause: unknown): void {
    if (this.#closed) return;
    const code = isDeepDefenseError(cause) ? cause.code : 'ENGINE_FAILED';
    const message = cause instanceof Error ? cause.message : String(cause);
    if (code !== CANCELLED) {
      this.#options.metrics.taskFailures.inc({ code });
      this.#options.logger.error({ err: cause, task: taskId }, 'a task failed');
    }
    this.#send([workerMessage('taskFailure', { taskId, code, message })]);
  }

  #sendVector(values: Float32Array, precision: SumPrecision, last: (transferId: number) => WorkerMessage): void {
    const { transferId, chunks } = this.#sender.split(values, precision);
    this.#send([...chunks.map((chunk) => workerMessage('chunk', chunk)), last(transferId)]);
  }

  #send(messages: readonly WorkerMessage[]): void {
    const { stream, onBroken } = this.#options;
    this.#sending = this.#sending.then(async () => {
      if (this.#closed) return;
      await sendAll(stream, messages);
      collectYoungObjects();
    });
    this.#sending = this.#sending.catch(onBroken);
  }
}

function cancelled(): DeepDefenseError {
  return new DeepDefenseError(CANCELLED, { what: 'the task was cancelled' });
}
