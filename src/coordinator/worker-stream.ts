/** @file One worker's gRPC stream as the worker pool sees it: chunks are put together, messages become reports. */
import { BYTES_PER_VALUE, DeepDefenseError, type SumPrecision, type VectorMath } from '../core/index.ts';
import type { CoordinatorMetrics, Logger } from '../telemetry/index.ts';
import {
  checkWorkerName,
  type CoordinatorMessage,
  peerOf,
  TensorReceiver,
  type VectorPool,
  type WorkerMessage,
  type WorkerStream,
} from '../wire/index.ts';
import type { ParameterSnapshot } from './parameter-snapshot.ts';
import type { WorkerGauges } from './worker-gauges.ts';
import type { WorkerLink, WorkerReport } from './worker-link.ts';
import type { WorkerPool } from './worker-pool.ts';

export interface WorkerStreamOptions {
  readonly stream: WorkerStream;
  readonly pool: WorkerPool<ParameterSnapshot>;
  /** Elements of the vectors that travel. */
  readonly vectorLength: number;
  /** Where gradient vectors come from; the training step gives them back. */
  readonly vectors: VectorPool;
  /** Works on these vectors. */
  readonly math: VectorMath;
  /** Of gradients. */
  readonly precision: SumPrecision;
  readonly metrics: CoordinatorMetrics;
  readonly gauges: WorkerGauges;
  readonly logger: Logger;
}

/** Takes part in the pool until the stream ends. */
export function serveWorkerStream(options: WorkerStreamOptions): void {
  const { stream, pool, vectorLength, vectors, math, precision, metrics, gauges, logger } = options;
  const receiver = new TensorReceiver({
    elements: vectorLength,
    allocate: () => vectors.take(),
    widen: (vector) => math.widen(vector),
    recycle: (vector) => vectors.give(vector),
  });
  const peer = peerOf(stream);
  const id = pool.connect(new StreamLink(stream, metrics));
  stream.on('data', (message: WorkerMessage) => {
    try {
      if (message.body === 'hello') checkWorkerName(peer, message.hello.workerId);
      const report = toReport(message, receiver, metrics);
      pool.receive(id, report);
      if (message.body === 'heartbeat') {
        const name = pool.membership.find(id)?.workerId;
        if (name !== undefined && name !== '') gauges.memory(name, message.heartbeat.residentBytes);
      }
      // Whoever counts the answer has adopted its vector by now; that of a refused answer is free again.
      if (report.kind !== 'block') return;
      metrics.gradientBytes.inc(vectorLength * BYTES_PER_VALUE[precision]);
      vectors.reclaim(report.gradients);
    } catch (error) {
      pool.refuse(id, error);
    }
  });
  const disconnect = (reason: string): void => {
    receiver.close();
    pool.disconnect(id, reason);
  };
  stream.on('error', (error) => {
    logger.debug({ err: error }, 'a worker stream failed');
    disconnect(error.message);
  });
  stream.on('cancelled', () => disconnect('the stream was cancelled'));
  stream.on('end', () => {
    disconnect('the worker closed the stream');
    stream.end();
  });
}

/**
 * What a message says; chunks count as a sign of life.
 * @throws DeepDefenseError PROTOCOL_BAD_MESSAGE for broken transfers and unknown kinds.
 */
function toReport(message: WorkerMessage, receiver: TensorReceiver, metrics: CoordinatorMetrics): WorkerReport {
  switch (message.body) {
    case 'hello':
      return { kind: 'hello', message: message.hello };
    case 'ready':
      return { kind: 'ready', message: message.ready };
    case 'heartbeat':
      metrics.heartbeats.inc();
      return { kind: 'alive' };
    case 'chunk':
      receiver.accept(message.chunk);
      return { kind: 'alive' };
    case 'blockResult': {
      return { kind: 'block', message: message.blockResult, gradients: receiver.take(message.blockResult.transferId) };
    }
    case 'evaluationResult':
      return { kind: 'evaluation', message: message.evaluationResult };
    case 'attackOutcome':
      return { kind: 'attack', message: message.attackOutcome };
    case 'diagnosisOutcome':
      return { kind: 'diagnosis', message: message.diagnosisOutcome };
    case 'initialParameters':
      return { kind: 'initial', message: message.initialParameters, parameters: receiver.take(message.initialParameters.transferId) };
    case 'taskFailure':
      return { kind: 'failure', message: message.taskFailure };
    case 'goodbye':
      return { kind: 'goodbye', reason: message.goodbye.reason };
    case undefined:
      throw new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
        what: 'a worker sent a message of an unknown kind',
        todo: 'install the same version of deepdefense on both sides',
      });
    default:
      return message satisfies never;
  }
}

/** Writes to the stream; a closed stream swallows what is said to it, its end is reported by its events. */
class StreamLink implements WorkerLink<ParameterSnapshot> {
  readonly #stream: WorkerStream;
  readonly #metrics: CoordinatorMetrics;

  constructor(stream: WorkerStream, metrics: CoordinatorMetrics) {
    this.#stream = stream;
    this.#metrics = metrics;
  }

  send(message: CoordinatorMessage): void {
    this.#write(message);
  }

  sendParameters({ messages, byteLength }: ParameterSnapshot): void {
    // No wait for 'drain': a worker gets a version only when it owes nothing, so at most one is in the buffer.
    for (const message of messages) this.#write(message);
    this.#metrics.parameterBytes.inc(byteLength);
  }

  close(): void {
    if (!this.#stream.writableEnded && !this.#stream.destroyed) this.#stream.end();
  }

  #write(message: CoordinatorMessage | Buffer): void {
    if (this.#stream.writableEnded || this.#stream.destroyed || this.#stream.cancelled) return;
    // The service's serialiser passes encoded messages through.
    this.#stream.write(message as CoordinatorMessage);
  }
}
