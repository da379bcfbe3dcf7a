/** @file One stream to a coordinator, from Hello to its end. */
import { hostname } from 'node:os';
import { type Config, configSchema, evaluationSpecs, parameterSpecs, parseEvaluationPlan } from '../config/index.ts';
import { DeepDefenseError, errorCodeOr, isDeepDefenseError, PACKAGE_VERSION, PROTOCOL_VERSION, sizeOf } from '../core/index.ts';
import { vectorLength } from '../optimizers/index.ts';
import type { Logger, WorkerMetrics } from '../telemetry/index.ts';
import {
  type CoordinatorClient,
  type CoordinatorMessage,
  type CoordinatorStream,
  grpcStatus,
  isServiceError,
  schemaHash,
  TensorReceiver,
  type Welcome,
  type WorkerMessage,
  workerMessage,
} from '../wire/index.ts';
import type { ComputeClient } from './compute-client.ts';
import type { Prepared } from './compute-host.ts';
import { TaskQueue } from './task-queue.ts';

/**
 * How a session ended:
 * - `finished`: the coordinator said that the run is over;
 * - `left`: this worker said goodbye;
 * - `lost`: the stream broke; another attempt may work;
 * - `failed`: another attempt can't help: refused, or unable to compute.
 */
export type SessionEnd =
  | { readonly kind: 'finished'; readonly state: string; readonly reason: string }
  | { readonly kind: 'left' }
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: DeepDefenseError };

export interface SessionOptions {
  readonly client: CoordinatorClient;
  readonly workerId: string;
  /** Opens data and compiles, or answers from what is there already. */
  readonly prepare: (config: Config, welcome: Welcome) => Promise<{ readonly compute: ComputeClient; readonly prepared: Prepared }>;
  readonly onWelcome: (config: Config, runId: string) => void;
  readonly onReady: () => void;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
  /** Aborting says goodbye. */
  readonly signal: AbortSignal;
}

/** A coordinator that took the stream but says nothing is given up after this long. */
const WELCOME_TIMEOUT_MS = 30_000;
/** Time for the last word to leave before the stream is cut. */
const GOODBYE_GRACE_MS = 500;

/** Runs one session; never throws. */
export function runSession(options: SessionOptions): Promise<SessionEnd> {
  return new Promise((resolve) => new Session(options, resolve).start());
}

class Session {
  readonly #options: SessionOptions;
  readonly #resolve: (end: SessionEnd) => void;
  readonly #stream: CoordinatorStream;
  readonly #onAbort = () => this.#leave();
  #heartbeat: NodeJS.Timeout | undefined;
  #welcomeTimer: NodeJS.Timeout | undefined;
  #receiver: TensorReceiver | undefined;
  #queue: TaskQueue | undefined;
  #over = false;

  constructor(options: SessionOptions, resolve: (end: SessionEnd) => void) {
    this.#options = options;
    this.#resolve = resolve;
    this.#stream = options.client.work();
  }

  start(): void {
    const { workerId, signal } = this.#options;
    this.#stream.on('data', (message: CoordinatorMessage) => {
      if (this.#over) return;
      try {
        this.#receive(message);
      } catch (error) {
        this.#fail(error);
      }
    });
    this.#stream.on('error', (error) => this.#end(endOf(error)));
    this.#stream.on('end', () => this.#end({ kind: 'lost', reason: 'the coordinator closed the stream' }));
    this.#say(
      workerMessage('hello', {
        workerId,
        protocolVersion: PROTOCOL_VERSION,
        packageVersion: PACKAGE_VERSION,
        host: hostname(),
        processId: process.pid,
      }),
    );
    this.#welcomeTimer = setTimeout(() => this.#end({ kind: 'lost', reason: 'the coordinator gave no answer' }), WELCOME_TIMEOUT_MS);
    if (signal.aborted) this.#leave();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  #receive(message: CoordinatorMessage): void {
    switch (message.body) {
      case 'welcome':
        this.#welcome(message.welcome);
        return;
      case 'refusal':
        this.#refused(message.refusal.code, message.refusal.message, message.refusal.retry);
        return;
      case 'chunk':
        this.#open().receiver.accept(message.chunk);
        return;
      case 'parametersReady': {
        const { queue, receiver } = this.#open();
        const values = receiver.take(message.parametersReady.transferId);
        this.#options.metrics.parameterBytes.inc(values.byteLength);
        queue.setParameters(message.parametersReady.version, values);
        return;
      }
      case 'initialiseTask':
        this.#open().queue.add({ kind: 'initialise', task: message.initialiseTask });
        return;
      case 'trainTask':
        this.#open().queue.add({ kind: 'train', task: message.trainTask });
        return;
      case 'evaluationTask':
        this.#open().queue.add({ kind: 'evaluate', task: message.evaluationTask });
        return;
      case 'attackTask':
        this.#open().queue.add({ kind: 'attack', task: message.attackTask });
        return;
      case 'diagnosisTask':
        this.#open().queue.add({ kind: 'diagnose', task: message.diagnosisTask });
        return;
      case 'cancelTask':
        this.#open().queue.cancel(message.cancelTask.taskId);
        return;
      case 'answerRefused':
        this.#options.logger.warn({ ...message.answerRefused }, 'the coordinator refused an answer that came too late');
        return;
      case 'finish':
        this.#end({ kind: 'finished', ...message.finish });
        return;
      case undefined:
        throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
          what: 'the coordinator sent a message of an unknown kind',
          todo: 'install the same version of deepdefense on both sides',
        });
      default:
        message satisfies never;
    }
  }

  #welcome(welcome: Welcome): void {
    clearTimeout(this.#welcomeTimer);
    const { metrics, onWelcome } = this.#options;
    this.#heartbeat = setInterval(() => {
      metrics.heartbeats.inc();
      this.#say(
        workerMessage('heartbeat', {
          sentAtMs: Date.now(),
          residentBytes: process.memoryUsage.rss(),
          taskId: this.#queue?.currentTaskId ?? 0,
        }),
      );
    }, welcome.heartbeatMs);
    const config = parseConfig(welcome.configJson);
    onWelcome(config, welcome.runId);
    this.#prepare(config, welcome).catch((error: unknown) => this.#fail(error));
  }

  async #prepare(config: Config, welcome: Welcome): Promise<void> {
    const { prepare, onReady, metrics, logger } = this.#options;
    const { evaluationJson } = welcome;
    const specs = evaluationJson === '' ? parameterSpecs(config.model) : evaluationSpecs(parseEvaluationPlan(evaluationJson));
    const ownSchema = schemaHash(specs);
    const { compute, prepared } = await prepare(config, welcome);
    if (this.#over) return;
    const parameterCount = specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    this.#receiver = new TensorReceiver({ elements: evaluationJson === '' ? vectorLength(config, parameterCount) : parameterCount });
    this.#queue = new TaskQueue({
      stream: this.#stream,
      compute,
      shardSize: config.train.batchSize / config.train.shards,
      precision: config.train.gradients,
      metrics,
      logger,
      onBroken: (error) => this.#end({ kind: 'lost', reason: error instanceof Error ? error.message : String(error) }),
    });
    this.#say(
      workerMessage('ready', {
        schemaHash: ownSchema,
        engineFingerprint: prepared.fingerprint,
        datasetHash: welcome.datasetHash,
        metricNames: [...prepared.metricNames],
        captureMs: prepared.captureMs,
        compileMs: prepared.compileMs,
      }),
    );
    onReady();
  }

  #open(): { readonly queue: TaskQueue; readonly receiver: TensorReceiver } {
    if (this.#queue === undefined || this.#receiver === undefined) {
      throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', { what: 'the coordinator sent work before this worker was ready' });
    }
    return { queue: this.#queue, receiver: this.#receiver };
  }

  #refused(code: string, message: string, retry: boolean): void {
    if (retry) return this.#end({ kind: 'lost', reason: `refused for now: ${code}: ${message}` });
    const error = new DeepDefenseError(errorCodeOr(code, 'PROTOCOL_BAD_MESSAGE'), {
      what: `the coordinator refused this worker (${code}): ${message}`,
      fields: { workerId: this.#options.workerId },
    });
    this.#end({ kind: 'failed', error });
  }

  #leave(): void {
    this.#say(workerMessage('goodbye', { reason: 'asked to stop' }));
    this.#end({ kind: 'left' });
  }

  /** Tells the coordinator why this worker can't go on. */
  #fail(cause: unknown): void {
    const error = isDeepDefenseError(cause)
      ? cause
      : new DeepDefenseError('INTERNAL', { what: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause), cause });
    this.#say(workerMessage('taskFailure', { taskId: 0, code: error.code, message: error.message }));
    this.#end({ kind: 'failed', error });
  }

  #say(message: WorkerMessage): void {
    if (!this.#stream.writableEnded && !this.#stream.destroyed) this.#stream.write(message);
  }

  #end(end: SessionEnd): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#welcomeTimer);
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#queue?.close();
    const resolve = () => {
      clearTimeout(cut);
      this.#resolve(end);
    };
    const cut = setTimeout(() => {
      this.#stream.cancel();
      resolve();
    }, GOODBYE_GRACE_MS);
    if (end.kind === 'lost') {
      this.#stream.cancel();
      return resolve();
    }
    // The last word must leave before the connection is closed; the coordinator answers the end of the stream with its own.
    this.#stream.once('close', resolve);
    this.#stream.once('status', resolve);
    this.#stream.end();
    this.#stream.resume();
  }
}

function parseConfig(json: string): Config {
  const parsed = configSchema.safeParse(JSON.parse(json));
  if (parsed.success) return parsed.data;
  throw new DeepDefenseError('PROTOCOL_SCHEMA', {
    what: "this version doesn't understand the run's config",
    got: parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
    todo: 'install the same version of deepdefense on both sides',
  });
}

/** What the end of a stream with an error means: a certificate that is refused stays refused. */
function endOf(error: Error): SessionEnd {
  const reason = isServiceError(error) ? error.details : error.message;
  if (!isServiceError(error) || error.code !== grpcStatus.PERMISSION_DENIED) return { kind: 'lost', reason };
  const what = 'the coordinator refused the certificate of this worker';
  return {
    kind: 'failed',
    error: new DeepDefenseError('IDENTITY_REFUSED', { what, got: reason, todo: 'give --certs the certificate of a worker' }),
  };
}
