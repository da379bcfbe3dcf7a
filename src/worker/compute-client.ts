/**
 * @file The supervisor's view of the compute thread: promises instead of messages. Vectors move between threads by transfer of their
 * ArrayBuffer, so the sender can't use them afterwards and nothing is copied.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SHARE_ENV, type TransferListItem, Worker } from 'node:worker_threads';
import type { Config, EvaluationName, EvaluationPlan } from '../config/index.ts';
import { DeepDefenseError, type ErrorCode, type ErrorParts } from '../core/index.ts';
import type { DatasetHeader } from '../data/index.ts';
import type { ShardBlock } from '../wire/index.ts';
import type { AttackSum, AttackWork, DiagnosisSum, DiagnosisWork } from './attack-computer.ts';
import type { BlockSum, EvaluationSum, TrainWork } from './compute.ts';
import { type ComputerFactory, ComputeHost, type DataStatus, type OpenDataRequest, type Prepared } from './compute-host.ts';

/** Computes for one run. Calls run one after the other, in the order in which they were made. */
export interface ComputeClient {
  /** Looks for an own copy of the dataset. */
  openData(request: OpenDataRequest): Promise<DataStatus>;
  /**
   * Takes records that were fetched, checks and caches them. `records` is handed over.
   * @throws DeepDefenseError DATA_*
   */
  useRecords(records: Uint8Array, header: DatasetHeader, request: OpenDataRequest): Promise<DataStatus>;
  /**
   * Compiles the training step for the dataset at hand.
   * @throws DeepDefenseError ENGINE_*
   */
  prepare(config: Config): Promise<Prepared>;
  /**
   * Opens the engine for the networks of an evaluation.
   * @throws DeepDefenseError ENGINE_*
   */
  prepareEvaluation(plan: EvaluationPlan, engine: Config['engine']): Promise<Prepared>;
  initialParameters(): Promise<Float32Array>;
  /** `values` is handed over. */
  setParameters(version: number, values: Float32Array): Promise<void>;
  trainBlock(work: TrainWork, block: ShardBlock): Promise<BlockSum>;
  evaluate(attack: EvaluationName, epsLinf: number, first: number, count: number): Promise<EvaluationSum>;
  attack(work: AttackWork): Promise<AttackSum>;
  diagnose(work: DiagnosisWork): Promise<DiagnosisSum>;
  /** Calls under way reject at once; resolves when the native call in progress is over and the thread gone. */
  dispose(): Promise<void>;
}

/** Methods that can be asked for across threads. */
export type ComputeMethod = Exclude<keyof ComputeClient, 'dispose'>;

export interface ComputeRequest {
  readonly id: number;
  readonly method: ComputeMethod;
  readonly args: readonly unknown[];
}

export type ComputeReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly code: ErrorCode; readonly parts: ErrorParts } };

/** Message that asks the thread to end. */
export const END = 'end';
/** A native call that takes longer is cut off, whatever follows. */
const END_GRACE_MS = 30_000;

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Runs the real computer in a worker thread. */
export function createThreadComputeClient(): ComputeClient {
  // Native libraries read the process's environment; the thread's copy would not reach them.
  const thread = new Worker(threadFile(), { env: SHARE_ENV });
  const pending = new Map<number, Pending>();
  let lastId = 0;
  let ended: DeepDefenseError | undefined;
  const end = (error: DeepDefenseError) => {
    ended ??= error;
    for (const { reject } of pending.values()) reject(ended);
    pending.clear();
  };
  thread.on('message', (reply: ComputeReply) => {
    const call = pending.get(reply.id);
    pending.delete(reply.id);
    if ('error' in reply) call?.reject(new DeepDefenseError(reply.error.code, reply.error.parts));
    else call?.resolve(reply.value);
  });
  thread.on('error', (cause) => end(threadFailed(cause instanceof Error ? cause.message : String(cause), cause)));
  const exited = new Promise<void>((resolve) => {
    thread.on('exit', (exitCode) => {
      end(threadFailed(`exit code ${exitCode}`));
      resolve();
    });
  });
  const call = <Value>(method: ComputeMethod, args: readonly unknown[], transfer: readonly TransferListItem[] = []): Promise<Value> => {
    if (ended !== undefined) return Promise.reject(ended);
    return new Promise<Value>((resolve, reject) => {
      lastId += 1;
      pending.set(lastId, { resolve, reject });
      thread.postMessage({ id: lastId, method, args } satisfies ComputeRequest, transfer);
    });
  };
  return {
    openData: (request) => call('openData', [request]),
    useRecords: (records, header, request) => call('useRecords', [records, header, request], [records.buffer as ArrayBuffer]),
    prepare: (config) => call('prepare', [config]),
    prepareEvaluation: (...args) => call('prepareEvaluation', args),
    initialParameters: () => call('initialParameters', []),
    setParameters: (version, values) => call('setParameters', [version, values], [values.buffer as ArrayBuffer]),
    trainBlock: (...args) => call('trainBlock', args),
    evaluate: (...args) => call('evaluate', args),
    attack: (work) => call('attack', [work]),
    diagnose: (work) => call('diagnose', [work]),
    dispose: async () => {
      end(threadFailed('it was stopped'));
      // Terminated in the middle of native code, the runtime would abort the whole process: the thread ends itself between two calls.
      thread.postMessage(END, []);
      const late = setTimeout(() => void thread.terminate(), END_GRACE_MS);
      await exited;
      clearTimeout(late);
    },
  };
}

/** Runs a computer on this thread: for tests, whose computers are fast. */
export function createLocalComputeClient(create: ComputerFactory): ComputeClient {
  const host = new ComputeHost(create);
  return {
    openData: (request) => host.openData(request),
    useRecords: (...args) => host.useRecords(...args),
    prepare: (config) => host.prepare(config),
    prepareEvaluation: (...args) => host.prepareEvaluation(...args),
    initialParameters: () => host.initialParameters(),
    setParameters: (version, values) => host.setParameters(version, values),
    trainBlock: (...args) => host.trainBlock(...args),
    evaluate: (...args) => host.evaluate(...args),
    attack: (work) => host.attack(work),
    diagnose: (work) => host.diagnose(work),
    dispose: () => host.dispose(),
  };
}

/** The compiled file, also when this module runs from source: a thread has no TypeScript loader. */
function threadFile(): URL {
  const beside = new URL('./compute-thread.js', import.meta.url);
  const built = import.meta.url.endsWith('.ts') ? new URL('../../dist/worker/compute-thread.js', import.meta.url) : beside;
  if (existsSync(built)) return built;
  throw new DeepDefenseError('INTERNAL', {
    what: `the compute thread's file "${fileURLToPath(built)}" is missing`,
    todo: 'run "npm run build"',
  });
}

function threadFailed(got: string, cause?: unknown): DeepDefenseError {
  return new DeepDefenseError('ENGINE_FAILED', { what: 'the compute thread has ended', got, todo: "see the worker's log", cause });
}
